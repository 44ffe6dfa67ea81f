#!/bin/bash
# Writes constraints/zun-NN.txt: the exact versions that this project is
# tested with for one release of Zun.
#
#   tools/freeze_constraints.sh RELEASE [FILE]
#
# RELEASE is Zun's version, for example 18.0.0. FILE (a path or a URL) contains
# the versions to use, usually OpenStack's upper-constraints.txt of that
# release. Without FILE, the existing file keeps its versions, and new
# requirements are added. Commit the result once "./run_tests.sh --full" has
# passed with it, and "--zun 17" for Zun 17.
#
# Zun 16 and 17 need oslo.db before 18. The upper-constraints.txt of OpenStack
# 2026.1 has 18.0.0: change it to 17.4.0 in a copy, for Zun 17.
#
# PYTHON (python3) is the interpreter to freeze with: use the oldest supported
# one, because it needs the most backports.

set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."

if (($# < 1 || $# > 2)); then
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
zun=$1
target=constraints/zun-${zun%%.*}.txt
source=${2:-$target}

# Beside our own requirements: what the tests on a real cloud install. The
# control plane is installed once, with the newer release's constraints.
packages=(pymemcache python-memcached)
if ((${zun%%.*} < 18)); then
    packages+=('oslo.db<18')
else
    packages+=(keystone kuryr-libnetwork neutron uwsgi)
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --constraint "$source" --editable ".[service]" \
    --requirement test-requirements.txt \
    --requirement doc/requirements.txt \
    "zun==$zun" "${packages[@]}"

{
    cat <<END
# What the tests run with beside Zun $zun, frozen from one environment.
# To refresh: tools/freeze_constraints.sh $zun UPPER_CONSTRAINTS
END
    "$scratch/venv/bin/pip" freeze --exclude-editable |
        sed -n 's/^\([A-Za-z0-9._-]*\)==/\1===/p' | LC_ALL=C sort -f
} >"$scratch/constraints.txt"
cp "$scratch/constraints.txt" "$target"
echo "$target: $(grep -c === "$target") packages"
