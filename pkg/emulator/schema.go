// Schemas written by hand, for services whose SDK this module does not have: shapes as the API references name them.

package emulator

import "github.com/aws/smithy-go"

// The simple shapes.
var (
	textShape     = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "String"}, smithy.ShapeTypeString, 0)
	numberShape   = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Integer"}, smithy.ShapeTypeInteger, 0)
	flagShape     = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Boolean"}, smithy.ShapeTypeBoolean, 0)
	momentShape   = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Timestamp"}, smithy.ShapeTypeTimestamp, 0)
	documentShape = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Document"}, smithy.ShapeTypeDocument, 0)
)

// structureShape is a structure with the members of each of the shapes.
func structureShape(name string, shapes map[*smithy.Schema][]string) *smithy.Schema {
	n := 0
	for _, members := range shapes {
		n += len(members)
	}
	s := smithy.NewSchema(smithy.ShapeID{Namespace: "emulator", Name: name}, smithy.ShapeTypeStructure, n)
	for shape, members := range shapes {
		for _, m := range members {
			s.AddMember(m, shape)
		}
	}
	return s
}

func listShape(name string, of *smithy.Schema) *smithy.Schema {
	s := smithy.NewSchema(smithy.ShapeID{Namespace: "emulator", Name: name}, smithy.ShapeTypeList, 1)
	s.AddMember("member", of)
	return s
}

var textsShape = listShape("StringList", textShape)

// networkShape is the network configuration that EventBridge and Scheduler hand to RunTask, with their capital letters.
func networkShape() *smithy.Schema {
	awsvpc := structureShape("AwsVpcConfiguration", map[*smithy.Schema][]string{textShape: {"AssignPublicIp"}, textsShape: {"Subnets", "SecurityGroups"}})
	return structureShape("NetworkConfiguration", map[*smithy.Schema][]string{awsvpc: {"awsvpcConfiguration"}})
}

// ecsParametersShape is what a target that runs a task says of it.
func ecsParametersShape() *smithy.Schema {
	return structureShape("EcsParameters", map[*smithy.Schema][]string{
		textShape: {"TaskDefinitionArn", "LaunchType", "PlatformVersion", "Group", "PropagateTags", "ReferenceId"}, numberShape: {"TaskCount"},
		flagShape: {"EnableECSManagedTags", "EnableExecuteCommand"}, networkShape(): {"NetworkConfiguration"},
		documentShape: {"CapacityProviderStrategy", "PlacementConstraints", "PlacementStrategy", "Tags"},
	})
}
