// Schemas written by hand, for services whose SDK this module does not have: shapes as the API references name them.

package awsapi

import "github.com/aws/smithy-go"

// The simple shapes.
var (
	TextShape     = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "String"}, smithy.ShapeTypeString, 0)
	NumberShape   = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Integer"}, smithy.ShapeTypeInteger, 0)
	FlagShape     = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Boolean"}, smithy.ShapeTypeBoolean, 0)
	MomentShape   = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Timestamp"}, smithy.ShapeTypeTimestamp, 0)
	DocumentShape = smithy.NewSchema(smithy.ShapeID{Namespace: "smithy.api", Name: "Document"}, smithy.ShapeTypeDocument, 0)
)

// StructureShape is a structure with the members of each of the shapes.
func StructureShape(name string, shapes map[*smithy.Schema][]string) *smithy.Schema {
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

func ListShape(name string, of *smithy.Schema) *smithy.Schema {
	s := smithy.NewSchema(smithy.ShapeID{Namespace: "emulator", Name: name}, smithy.ShapeTypeList, 1)
	s.AddMember("member", of)
	return s
}

var TextsShape = ListShape("StringList", TextShape)

// networkShape is the network configuration that EventBridge and Scheduler hand to RunTask, with their capital letters.
func networkShape() *smithy.Schema {
	awsvpc := StructureShape("AwsVpcConfiguration", map[*smithy.Schema][]string{TextShape: {"AssignPublicIp"}, TextsShape: {"Subnets", "SecurityGroups"}})
	return StructureShape("NetworkConfiguration", map[*smithy.Schema][]string{awsvpc: {"awsvpcConfiguration"}})
}

// ECSParametersShape is what a target that runs a task says of it.
func ECSParametersShape() *smithy.Schema {
	return StructureShape("EcsParameters", map[*smithy.Schema][]string{
		TextShape: {"TaskDefinitionArn", "LaunchType", "PlatformVersion", "Group", "PropagateTags", "ReferenceId"}, NumberShape: {"TaskCount"},
		FlagShape: {"EnableECSManagedTags", "EnableExecuteCommand"}, networkShape(): {"NetworkConfiguration"},
		DocumentShape: {"CapacityProviderStrategy", "PlacementConstraints", "PlacementStrategy", "Tags"},
	})
}
