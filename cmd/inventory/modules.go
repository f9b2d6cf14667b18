package main

// Which modules ship: those with a package in the executable of any platform,
// as the go command lists them, with the licence files that apply to it.

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// module is one that ships.
type module struct {
	Path, Version string
	Licences      []string  // SPDX identifiers, sorted
	Texts         []licence // sorted by path
}

// standard is the path by which the standard library and the runtime are
// listed; scanners know them by it.
const standard = "std"

// licence is a file that says under which terms a module may be used.
type licence struct {
	Path string // below the module's folder, with slashes
	Text string
}

// programs are the packages that become executables in the extension. The
// second one is in the placeholder image.
var programs = []string{"./cmd/ecsdeploy", "./pkg/placeholder/server"}

// inventory lists what is linked into the programs on all platforms, sorted by
// path, the standard library first. A module without a licence that [spdx]
// recognises is an error.
func inventory(ctx context.Context, root string) ([]module, error) {
	text, err := os.ReadFile(filepath.Join(root, ".ci", "platforms"))
	if err != nil {
		return nil, err
	}
	targets, err := parsePlatforms(string(text))
	if err != nil {
		return nil, fmt.Errorf(".ci/platforms: %w", err)
	}
	folders := map[string]map[string]bool{} // of packages, by module path
	found := map[string]listed{}
	for _, target := range targets {
		packages, err := list(ctx, root, target)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			if p.Module == nil || p.Module.Main {
				continue
			}
			found[p.Module.Path] = *p.Module
			if folders[p.Module.Path] == nil {
				folders[p.Module.Path] = map[string]bool{}
			}
			folders[p.Module.Path][p.Dir] = true
		}
	}
	library, err := standardLibrary(ctx, root)
	if err != nil {
		return nil, err
	}
	shipped := []module{library}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		m := found[path]
		texts, err := licences(m.Dir, slices.Sorted(maps.Keys(folders[path])))
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", path, err)
		}
		ids, err := spdx(texts)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", path, err)
		}
		shipped = append(shipped, module{m.Path, m.Version, ids, texts})
	}
	return shipped, nil
}

// platform is a line of the file .ci/platforms.
type platform struct{ os, arch string }

func parsePlatforms(text string) ([]platform, error) {
	var all []platform
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %q has %d words, want GOOS, GOARCH and Node's name", strings.TrimSpace(line), len(fields))
		}
		all = append(all, platform{fields[0], fields[1]})
	}
	if len(all) == 0 {
		return nil, errors.New("no platform is named")
	}
	return all, nil
}

// listed and listedPackage are what is read of the answers of "go list -json".
type listed struct {
	Path, Version, Dir string
	Main               bool
}

type listedPackage struct {
	Dir    string
	Module *listed
}

func list(ctx context.Context, root string, p platform) ([]listedPackage, error) {
	args := append([]string{"list", "-deps", "-json=Dir,Module"}, programs...)
	out, err := command(ctx, root, []string{"GOOS=" + p.os, "GOARCH=" + p.arch, "CGO_ENABLED=0"}, args...)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", p.os, p.arch, err)
	}
	var all []listedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var one listedPackage
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, one)
	}
}

func standardLibrary(ctx context.Context, root string) (module, error) {
	out, err := command(ctx, root, nil, "env", "GOROOT", "GOVERSION")
	if err != nil {
		return module{}, err
	}
	goroot, version, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	text, err := os.ReadFile(filepath.Join(goroot, "LICENSE"))
	if err != nil {
		return module{}, fmt.Errorf("the licence of Go: %w", err)
	}
	texts := []licence{{"LICENSE", string(text)}}
	ids, err := spdx(texts)
	return module{standard, strings.TrimPrefix(version, "go"), ids, texts}, err
}

// licences reads the licence files that apply to packages of a module: those
// in their folders and in the folders above, up to the module's own.
func licences(moduleDir string, packageDirs []string) ([]licence, error) {
	places := map[string]bool{}
	for _, dir := range packageDirs {
		for ; strings.HasPrefix(dir, moduleDir); dir = filepath.Dir(dir) {
			places[dir] = true
		}
	}
	var all []licence
	for dir := range places {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if entry.IsDir() || !isLicence(entry.Name()) {
				continue
			}
			path := filepath.Join(dir, entry.Name())
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			rel, err := filepath.Rel(moduleDir, path)
			if err != nil {
				return nil, err
			}
			all = append(all, licence{filepath.ToSlash(rel), string(text)})
		}
	}
	slices.SortFunc(all, func(a, b licence) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

// isLicence tells by a file's name whether it holds a licence or what Apache's
// licence, section 4(d), asks to be passed on.
func isLicence(name string) bool {
	base, extension, _ := strings.Cut(strings.ToUpper(name), ".")
	switch base {
	case "LICENSE", "LICENCE", "COPYING", "NOTICE":
		return slices.Contains([]string{"", "TXT", "MD"}, extension)
	}
	return false
}

// permissive are the licences under which a module may ship in the extension:
// each is met by passing on its text, which NOTICE does.
var permissive = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// recognised is how much of a file must be the words of known licences, in per
// cent: the rest may be copyright lines, not further terms. It is the share
// that Go's package site asks for.
const recognised = 75

// spdx names the licences in texts, sorted.
func spdx(texts []licence) ([]string, error) {
	ids := map[string]bool{}
	for _, text := range texts {
		if strings.HasPrefix(strings.ToUpper(filepath.Base(text.Path)), "NOTICE") {
			continue
		}
		coverage := licensecheck.Scan([]byte(text.Text))
		if coverage.Percent < recognised {
			return nil, fmt.Errorf("%s is no licence that is known: %.0f%% of its words belong to one, want %d%%", text.Path, coverage.Percent, recognised)
		}
		for _, match := range coverage.Match {
			if !slices.Contains(permissive, match.ID) {
				return nil, fmt.Errorf("%s: licence %s is not among those that may ship: %s", text.Path, match.ID, strings.Join(permissive, ", "))
			}
			ids[match.ID] = true
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("it has no licence file")
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// requirements says which modules that ship require which others, by path.
func requirements(ctx context.Context, root string, shipped []module) (map[string][]string, error) {
	out, err := command(ctx, root, nil, "mod", "graph")
	if err != nil {
		return nil, err
	}
	versions := map[string]string{"ecsdeploy": ""}
	for _, m := range shipped {
		versions[m.Path] = m.Version
	}
	graph := map[string][]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		from, to, _ := strings.Cut(lines.Text(), " ")
		from, version, _ := strings.Cut(from, "@")
		to, _, _ = strings.Cut(to, "@")
		// The graph has all versions that anybody asks for; the build has one of each.
		chosen, ships := versions[from]
		_, shipsToo := versions[to]
		if ships && shipsToo && version == chosen && !slices.Contains(graph[from], to) {
			graph[from] = append(graph[from], to)
		}
	}
	for _, list := range graph {
		slices.Sort(list)
	}
	return graph, nil
}

// command runs the go command at root.
func command(ctx context.Context, root string, environ []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), environ...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out, nil
}
