// Variables of the pipeline by their names, for what refers to them in files.

package input

import (
	"slices"
	"strings"
)

// variableKey is the environment variable that has a pipeline variable.
// Source: azure-pipelines-agent, src/Agent.Sdk/Util/VarUtil.cs.
func variableKey(name string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", " ", "_").Replace(name))
}

// upper is an environment with its names in upper case: Windows does not tell
// case apart.
func upper(variables map[string]string) map[string]string {
	all := make(map[string]string, len(variables))
	for name, value := range variables {
		all[strings.ToUpper(name)] = value
	}
	return all
}

// systemVariables are names that the operating system or a shell gives its own
// meaning: an agent has them whatever the pipeline defines, and $(hostname) or
// $(pwd) in a file is most likely the command of a shell.
var systemVariables = map[string]bool{
	"PATH": true, "HOME": true, "USER": true, "LOGNAME": true, "HOSTNAME": true, "PWD": true, "OLDPWD": true, "SHELL": true,
	"LANG": true, "TERM": true, "TMP": true, "TEMP": true, "TMPDIR": true, "DATE": true, "OS": true, "USERNAME": true,
	"COMPUTERNAME": true, "USERPROFILE": true, "SYSTEMROOT": true, "WINDIR": true, "APPDATA": true, "PROGRAMFILES": true,
}

// VariableLookup finds pipeline variables in an environment by their names. Of a
// secret one it gives no value. What belongs to the operating system or to the
// task alone does not count.
func VariableLookup(environment map[string]string) func(name string) (value string, secret, ok bool) {
	variables := upper(environment)
	return func(name string) (value string, secret, ok bool) {
		key := variableKey(name)
		private := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		if systemVariables[key] || slices.ContainsFunc(privatePrefixes, private) || slices.Contains(secretVariables, key) {
			return "", false, false
		}
		if _, ok := variables[secretPrefix+key]; ok {
			return "", true, true
		}
		value, ok = variables[key]
		return value, false, ok
	}
}
