package taskdef

// What the parts of a definition say of each other: that what is named is there, and
// fits. ECS says so when the revision is registered, which is after the push.

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// Inconsistent reports where a definition, with what a run sets in it, gives containers
// more memory or CPU than their task, a secret the name of a variable, or a container no
// image or one that is no reference of one. The error joins a [*mistake.Error] for each
// thing that is wrong.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Secret.html
func (d Definition) Inconsistent() error {
	var found []*mistake.Error
	fail := func(hint, format string, args ...any) {
		found = append(found, mistake.New(mistake.TaskDefinition, hint, format, args...))
	}
	units, task := d.Size()
	var used float64 // CPU units of the containers
	for _, c := range d.doc.get("containerDefinitions").items {
		used += numberOf(c.get("cpu"))
		name := c.get("name").str()
		hard, soft := numberOf(c.get("memory")), numberOf(c.get("memoryReservation"))
		switch {
		case hard > 0 && soft > hard:
			fail("make memoryReservation smaller than memory", "container %s reserves %g MiB of memory, and may have %g MiB", name, soft, hard)
		case task > 0 && max(hard, soft) > task:
			fail("make the memory of the task larger, or that of the container smaller", "container %s has %g MiB of memory, and the task %g MiB", name, max(hard, soft), task)
		case d.doc.get("memory").kind == missing && hard == 0 && soft == 0:
			fail("set memory of the task, or memory or memoryReservation of the container", "container %s has no memory, and neither has the task", name)
		}
		if image := c.get("image").str(); image == "" {
			fail("add image to it, or name its image in images", "container %s has no image", name)
		} else if malformed(image) != "" {
			fail("a variable in it is probably empty, or was not replaced: check that it is set in this stage", "container %s has the image %q, which %s", name, image, malformed(image))
		}
		var seen []string
		for _, s := range c.get("secrets").items {
			secret := s.get("name").str()
			if c.get("environment").find("name", secret).kind != missing || slices.Contains(seen, secret) {
				fail("keep one of the two", "container %s has %s twice: secrets and variables share their names", name, secret)
			}
			seen = append(seen, secret)
		}
	}
	if units > 0 && used > units {
		fail("make the cpu of the task larger, or that of the containers smaller", "the containers have %g CPU units together, and the task %g CPU units", used, units)
	}
	return joined(found)
}

// longestImage is how many characters ECS takes in an image:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
const longestImage = 255

// malformed says why no registry can have an image of that name; "" where one may. ECS
// takes letters, digits and - _ : . / # in it, and what a digest has.
func malformed(image string) string {
	strange := strings.IndexFunc(image, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("-_:./#@+=", r)
	})
	name, digest, byDigest := strings.Cut(image, "@")
	encoded, sha256 := strings.CutPrefix(digest, "sha256:")
	if registry := registryOf(name); strings.HasPrefix(name, registry+"/") {
		name = name[len(registry)+1:] // without the port
	}
	switch {
	case strange >= 0:
		return fmt.Sprintf("has the character %q", []rune(image[strange:])[0])
	case len(image) > longestImage:
		return fmt.Sprintf("has more than %d characters", longestImage)
	case strings.HasSuffix(image, ":"):
		return "has an empty tag"
	case byDigest && (digest == "" || sha256 && len(encoded) != 64):
		return "has an incomplete digest"
	case image == "":
	case strings.HasSuffix(image, "/"), strings.HasPrefix(image, "/"), strings.Contains(image, "//"),
		name == "", strings.HasPrefix(image, ":"), strings.HasPrefix(name, ":"), strings.Contains(name, "/:"):
		return "has an empty part"
	case strings.Contains(name[:max(0, strings.LastIndexByte(name, ':'))], ":"), strings.LastIndexByte(name, '/') > strings.LastIndexByte(name, ':') && strings.Contains(name, ":"):
		return "has a colon too many"
	}
	return ""
}

// inconsistent finds what names something that the document does not have, whatever a
// run sets in it.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
func inconsistent(doc value) []*mistake.Error {
	c := consistency{doc: doc}
	containers := doc.get("containerDefinitions")
	c.named("family", doc.get("family"))
	for i, v := range doc.get("volumes").items {
		c.named(fmt.Sprintf("volumes[%d].name", i), v.get("name"))
	}
	optional := 0
	for i, container := range containers.items {
		c.at = fmt.Sprintf("containerDefinitions[%d]", i)
		c.container(container)
		if container.get("essential").raw == "false" {
			optional++
		}
	}
	if len(containers.items) > 0 && optional == len(containers.items) {
		c.fail("containerDefinitions", containers, "leave essential out of the one whose end is the end of the task", "has no essential container; ECS requires one")
	}
	if proxy := doc.get("proxyConfiguration"); proxy.kind == object {
		c.at = ""
		c.names("proxyConfiguration.containerName", proxy.get("containerName"))
	}
	return c.found
}

// consistency collects what is inconsistent.
type consistency struct {
	doc   value
	at    string // the container that is looked at
	found []*mistake.Error
}

func (c *consistency) fail(at string, v value, hint, format string, args ...any) {
	c.found = append(c.found, finding(at, v, hint, format, args...))
}

// nameForm is what ECS takes as the name of a family, a container or a volume.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

const longestName = 255 // characters

// named checks that a value can be a name. A variable in it is not looked at, where
// variables are not expanded.
func (c *consistency) named(at string, v value) {
	if name := v.str(); name != "" && !token.MatchString(name) && (!nameForm.MatchString(name) || len(name) > longestName) {
		c.fail(at, v, "write letters, digits, _ and - alone", "is %s; ECS takes up to %d letters, digits, _ and -", cut(quote(name)), longestName)
	}
}

// names checks that a value is the name of a container.
func (c *consistency) names(at string, v value) {
	if name := v.str(); name != "" && c.doc.get("containerDefinitions").find("name", name).kind == missing {
		c.fail(at, v, "it has "+strings.Join(Definition{doc: c.doc}.names(), ", "), "names the container %s, which the file does not have", name)
	}
}

// container checks what a container says of others, of volumes and of the task.
func (c *consistency) container(container value) {
	c.named(c.at+".name", container.get("name"))
	for i, d := range container.get("dependsOn").items {
		c.dependency(fmt.Sprintf("%s.dependsOn[%d]", c.at, i), d)
	}
	for i, v := range container.get("volumesFrom").items {
		c.names(fmt.Sprintf("%s.volumesFrom[%d].sourceContainer", c.at, i), v.get("sourceContainer"))
	}
	for i, m := range container.get("mountPoints").items {
		if name := m.get("sourceVolume"); name.str() != "" && c.doc.get("volumes").find("name", name.str()).kind == missing {
			c.fail(fmt.Sprintf("%s.mountPoints[%d].sourceVolume", c.at, i), name, "add the volume to volumes, or correct the name", "names the volume %s, which the file does not have", name.str())
		}
	}
	c.logs(container.get("logConfiguration"))
	awsvpc := c.doc.get("networkMode").str() == "awsvpc"
	if links := container.get("links"); awsvpc && len(links.items) > 0 {
		c.fail(c.at+".links", links, "remove it: containers of a task reach each other at localhost", "is for the network mode bridge alone; that of the file is awsvpc")
	}
	for i, p := range container.get("portMappings").items {
		host, port := canonicalNumber(p.get("hostPort").raw), canonicalNumber(p.get("containerPort").raw)
		if awsvpc && p.get("hostPort").kind == number && p.get("containerPort").kind == number && host != "0" && host != port {
			c.fail(fmt.Sprintf("%s.portMappings[%d].hostPort", c.at, i), p.get("hostPort"), "remove it", "is %s and containerPort is %s; in the network mode awsvpc they are the same", host, port)
		}
	}
}

// logs checks that a log configuration for CloudWatch says where to.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html
func (c *consistency) logs(log value) {
	if log.get("logDriver").str() != "awslogs" {
		return
	}
	required := []string{"awslogs-group"}
	if c.doc.get("requiresCompatibilities").has("FARGATE") {
		required = append(required, "awslogs-region", "awslogs-stream-prefix")
	}
	for _, option := range required {
		if log.get("options").get(option).str() == "" {
			c.fail(c.at+".logConfiguration", log, "add it to them", "has no %s in its options, which the log driver awslogs requires", option)
		}
	}
}

// dependency checks what a container waits for.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html
func (c *consistency) dependency(at string, d value) {
	c.names(at+".containerName", d.get("containerName"))
	target := c.doc.get("containerDefinitions").find("name", d.get("containerName").str())
	if target.kind == missing {
		return
	}
	switch condition := d.get("condition").str(); {
	case condition == "HEALTHY" && target.get("healthCheck").kind == missing:
		c.fail(at+".condition", d.get("condition"), "add a healthCheck to that container, or wait for START", "is HEALTHY, and container %s has no healthCheck", d.get("containerName").str())
	case (condition == "COMPLETE" || condition == "SUCCESS") && target.get("essential").raw != "false":
		c.fail(at+".condition", d.get("condition"), "set essential to false in that container", "is %s, and container %s is essential: its end would be the end of the task", condition, d.get("containerName").str())
	}
}

func numberOf(v value) float64 {
	n, err := strconv.ParseFloat(v.raw, 64)
	if err != nil || v.kind != number {
		return 0
	}
	return n
}
