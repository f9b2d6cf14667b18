package taskdef

// What ECS means by the members of a task definition: which values say the same
// as leaving the member out, which lists are sets, which values may be secrets.
// Comparing, showing, merging and checking all read this one table. It has the
// members that the AWS SDK knows, which a test compares; one that is not here, for
// it is newer, is kept as it is, compared as it stands and its value never shown.
//
// Rules come from the API's TaskDefinition and ContainerDefinition and the types
// they hold. A value counts as absent only where the API says what absence
// means, or where DescribeTaskDefinition answers with it for a member that was
// not given. When in doubt a rule is missing: taking two equal definitions for
// different costs one more revision, the reverse would lose a change.

// A rule says what one member means.
type rule struct {
	kind    kind
	absent  string           // the JSON that means the same as no member; "" if there is none
	unit    string           // of a size: what ECS multiplies by 1024 (vCPU, GB)
	hidden  bool             // the value may be a secret and is not shown
	members map[string]*rule // of an object
	each    *rule            // of the items of a list, or of the members of a map
	key     string           // of a list that is a set: the member that tells its items apart; "." for the item itself
	pair    string           // of a list of pairs: the member that holds the value
	rival   string           // of a set: the one beside it that may not have an item of the same key
	ours    bool             // what a pipeline deploys: where infrastructure changes it too, the pipeline's stays
	needs   []string         // of an object: members without which ECS refuses it
	filled  bool             // of a string: ECS refuses the empty one
}

// unknown is the rule for what is not in the table.
var unknown = &rule{hidden: true}

// of returns the rule for a member of an object.
func (r *rule) of(name string) *rule {
	if m := r.members[name]; m != nil {
		return m
	}
	if r.kind == object && r.each != nil {
		return r.each
	}
	return unknown
}

// item returns the rule for the items of a list.
func (r *rule) item() *rule {
	if r.kind == list && r.each != nil {
		return r.each
	}
	return unknown
}

// or returns the rule with the value that means the same as no member.
func (r *rule) or(absent string) *rule {
	with := *r
	with.absent = absent
	return &with
}

// against returns the rule of a set that shares its keys with another.
func (r *rule) against(rival string) *rule {
	with := *r
	with.rival = rival
	return &with
}

// needing returns the rule of an object that ECS refuses without some members.
func (r *rule) needing(names ...string) *rule {
	with := *r
	with.needs = names
	return &with
}

// holding returns the rule of a list whose items ECS refuses without some members.
func (r *rule) holding(names ...string) *rule {
	with := *r
	with.each = r.each.needing(names...)
	return &with
}

type members = map[string]*rule

var (
	aText    = &rule{kind: text}
	aNumber  = &rule{kind: number}
	aBoolean = &rule{kind: boolean}
	aSecret  = &rule{kind: text, hidden: true}
	aWord    = &rule{kind: text, filled: true} // one of a few words
)

// size is a number written as a string, in units of 1024 where it names one: ECS
// registers "1 vCPU" as "1024" and "2 GB" as "2048" (RegisterTaskDefinition,
// cpu and memory).
func size(unit string) *rule { return &rule{kind: text, unit: unit, filled: true} }

func anObject(m members) *rule { return &rule{kind: object, members: m} }

// mapOf is an object whose members are named by the user.
func mapOf(each *rule) *rule { return &rule{kind: object, absent: "{}", each: each} }

func listOf(each *rule) *rule { return &rule{kind: list, absent: "[]", each: each} }

// setOf is a list whose items are identified by a member: their order means
// nothing.
func setOf(key string, m members) *rule {
	return &rule{kind: list, absent: "[]", each: anObject(m), key: key}
}

// pairsOf is a set of names and values.
func pairsOf(key, of string, r *rule) *rule {
	return &rule{kind: list, absent: "[]", each: anObject(members{key: aText, of: r}), key: key, pair: of}
}

// taskDefinition is the rule for a whole document.
//
// Containers are a set: others refer to them by name, and dependsOn, links and
// volumesFrom give the order in which they start. So are environment and
// secrets. environmentFiles are not, for the first one wins.
var taskDefinition = anObject(members{
	"family":                  aText,
	"containerDefinitions":    setOf("name", container),
	"cpu":                     size("vCPU"),
	"memory":                  size("GB"),
	"networkMode":             aWord.or(`"bridge"`),
	"taskRoleArn":             aText,
	"executionRoleArn":        aText,
	"pidMode":                 aWord,
	"ipcMode":                 aWord,
	"enableFaultInjection":    aBoolean.or("false"),
	"requiresCompatibilities": {kind: list, absent: "[]", each: aText, key: "."},
	"runtimePlatform":         anObject(members{"operatingSystemFamily": aWord, "cpuArchitecture": aWord}).or("{}"),
	"ephemeralStorage":        anObject(members{"sizeInGiB": aNumber}).needing("sizeInGiB"),
	"placementConstraints":    listOf(anObject(members{"type": aText, "expression": aText})),
	"inferenceAccelerators":   listOf(anObject(members{"deviceName": aText, "deviceType": aText})).holding("deviceName", "deviceType"),
	"proxyConfiguration": anObject(members{
		"type": aWord, "containerName": aText, "properties": pairsOf("name", "value", aText),
	}).needing("containerName"),
	"trustedExecutionConfiguration": anObject(members{
		"isolationMode": aWord, "attestationPolicy": aText,
	}).needing("isolationMode"),
	"volumes": setOf("name", volume),
	"tags":    pairsOf("key", "value", aText),
})

var container = members{
	"name":                   aText,
	"image":                  {kind: text, ours: true, filled: true},
	"essential":              aBoolean.or("true"),
	"cpu":                    aNumber.or("0"),
	"memory":                 aNumber,
	"memoryReservation":      aNumber,
	"command":                listOf(aText),
	"entryPoint":             listOf(aText),
	"environment":            pairsOf("name", "value", aSecret).against("secrets"),
	"environmentFiles":       listOf(anObject(members{"type": aText, "value": aText})).holding("type", "value"),
	"secrets":                pairsOf("name", "valueFrom", aWord).holding("name", "valueFrom").against("environment"),
	"repositoryCredentials":  anObject(members{"credentialsParameter": aText}).needing("credentialsParameter"),
	"portMappings":           listOf(anObject(portMapping)),
	"healthCheck":            anObject(healthCheck).needing("command"),
	"dependsOn":              setOf("containerName", members{"containerName": aText, "condition": aText}).holding("containerName", "condition"),
	"links":                  listOf(aText),
	"restartPolicy":          anObject(members{"enabled": aBoolean, "ignoredExitCodes": listOf(aNumber), "restartAttemptPeriod": aNumber.or("300")}).needing("enabled"),
	"startTimeout":           aNumber,
	"stopTimeout":            aNumber,
	"versionConsistency":     aText.or(`"enabled"`),
	"logConfiguration":       anObject(members{"logDriver": aWord, "options": mapOf(aSecret).with(awslogs), "secretOptions": pairsOf("name", "valueFrom", aWord).holding("name", "valueFrom")}).needing("logDriver"),
	"firelensConfiguration":  anObject(members{"type": aWord, "options": mapOf(aSecret)}).needing("type"),
	"mountPoints":            listOf(anObject(members{"sourceVolume": aText, "containerPath": aText, "readOnly": aBoolean.or("false")})),
	"volumesFrom":            listOf(anObject(members{"sourceContainer": aText, "readOnly": aBoolean.or("false")})),
	"linuxParameters":        anObject(linuxParameters).or("{}"),
	"ulimits":                listOf(anObject(members{"name": aText, "softLimit": aNumber, "hardLimit": aNumber})).holding("name", "softLimit", "hardLimit"),
	"systemControls":         listOf(anObject(members{"namespace": aText, "value": aText})),
	"resourceRequirements":   listOf(anObject(members{"type": aText, "value": aText, "sharingStrategy": sharingStrategy})).holding("type"),
	"credentialSpecs":        listOf(aText),
	"dockerLabels":           mapOf(aSecret),
	"dockerSecurityOptions":  listOf(aText),
	"dnsServers":             listOf(aText),
	"dnsSearchDomains":       listOf(aText),
	"extraHosts":             listOf(anObject(members{"hostname": aText, "ipAddress": aText})).holding("hostname", "ipAddress"),
	"hostname":               aText,
	"user":                   aText,
	"workingDirectory":       aText,
	"disableNetworking":      aBoolean,
	"interactive":            aBoolean,
	"privileged":             aBoolean,
	"pseudoTerminal":         aBoolean,
	"readonlyRootFilesystem": aBoolean,
}

var sharingStrategy = anObject(members{"nvidiaMps": anObject(members{"memory": aNumber, "maxComputePercent": aNumber}).needing("memory")})

// awslogs are the log options that cannot hold a secret. Other drivers' can:
// splunk-token, apikey.
var awslogs = members{
	"awslogs-group": aText, "awslogs-region": aText, "awslogs-stream-prefix": aText,
	"awslogs-create-group": aText, "mode": aText, "max-buffer-size": aText,
}

// with returns the rule of a map with rules for some of its members.
func (r *rule) with(m members) *rule {
	with := *r
	with.members = m
	return &with
}

// portMapping has one more rule, which depends on the network mode: see
// impliedHostPorts.
var portMapping = members{
	"containerPort":      aNumber,
	"containerPortRange": aText,
	"hostPort":           aNumber.or("0"),
	"protocol":           aText.or(`"tcp"`),
	"name":               aText,
	"appProtocol":        aText,
}

var healthCheck = members{
	"command":     listOf(aText),
	"interval":    aNumber.or("30"),
	"timeout":     aNumber.or("5"),
	"retries":     aNumber.or("3"),
	"startPeriod": aNumber,
}

var linuxParameters = members{
	"capabilities":       anObject(members{"add": listOf(aText), "drop": listOf(aText)}).or("{}"),
	"devices":            listOf(anObject(members{"hostPath": aText, "containerPath": aText, "permissions": listOf(aText)})).holding("hostPath"),
	"tmpfs":              listOf(anObject(members{"containerPath": aText, "size": aNumber, "mountOptions": listOf(aText)})).holding("containerPath", "size"),
	"initProcessEnabled": aBoolean,
	"maxSwap":            aNumber,
	"sharedMemorySize":   aNumber,
	"swappiness":         aNumber,
}

// volume: an empty host means what no host means, a path that Docker chooses; an
// empty dockerVolumeConfiguration is still one.
var volume = members{
	"name":               aText,
	"host":               anObject(members{"sourcePath": aText}).or("{}"),
	"configuredAtLaunch": aBoolean,
	"efsVolumeConfiguration": anObject(members{
		"fileSystemId":          aText,
		"rootDirectory":         aText.or(`"/"`),
		"transitEncryption":     aText.or(`"DISABLED"`),
		"transitEncryptionPort": aNumber,
		"authorizationConfig":   anObject(members{"accessPointId": aText, "iam": aText.or(`"DISABLED"`)}).or("{}"),
	}).needing("fileSystemId"),
	"s3filesVolumeConfiguration": anObject(members{
		"fileSystemArn": aText, "accessPointArn": aText, "rootDirectory": aText.or(`"/"`), "transitEncryptionPort": aNumber,
	}).needing("fileSystemArn"),
	"fsxWindowsFileServerVolumeConfiguration": anObject(members{
		"fileSystemId": aText, "rootDirectory": aText,
		"authorizationConfig": anObject(members{"credentialsParameter": aText, "domain": aText}).needing("credentialsParameter", "domain"),
	}).needing("fileSystemId", "rootDirectory", "authorizationConfig"),
	"dockerVolumeConfiguration": anObject(members{
		"scope": aText, "driver": aText, "autoprovision": aBoolean, "driverOpts": mapOf(aSecret), "labels": mapOf(aSecret),
	}),
}
