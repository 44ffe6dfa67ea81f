#!/bin/bash
# Runs phases of DevStack with the plug-ins of PLUGINS, in that order:
#
#   DEST=DIR PLUGINS="zun zun-bulk" run-phases.sh [PHASE...]
#
# A PHASE is "stack install" and the like, in one argument. "only NAME PHASE"
# runs it with that plug-in alone, after Zun's has set its variables.
#
# DEVSTACK_DIR is a checkout of DevStack whose functions to use; without it
# they are doubles. Programs that change the machine (pip, sudo, systemctl and
# those of Zun) are always those of DEST/bin and DEST/venv/bin.

# As stack.sh. DevStack's functions are not made for nounset.
set -o errexit

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# What stackrc, stack.sh and its libraries set.
export TOP_DIR=$DEST/devstack
export DATA_DIR=$DEST
export DATABASE_BACKENDS=" mysql postgresql"
export DEVSTACK_VENV=$DEST/venv
export GLOBAL_VENV=True
export HORIZON_DIR=$DEST/horizon
export REQUIREMENTS_DIR=$DEST/requirements
export STACK_USER
STACK_USER=$(id -un)
export SYSTEMCTL="sudo systemctl"
export SYSTEMD_DIR=$DEST/systemd
echo_summary() { echo "$*"; }

export PATH=$DEST/bin:$PATH

# shellcheck disable=SC1091
if [[ -n "$DEVSTACK_DIR" ]]; then
    source "$DEVSTACK_DIR/functions"
else
    source "$HERE/functions-double.sh"
fi

trap 'echo "failed: $BASH_COMMAND" >&2; exit 1' ERR

for plugin in $PLUGINS; do
    enable_plugin "$plugin" "https://git.example/$plugin"
done
run_phase source

for phase; do
    # shellcheck disable=SC2086  # Mode and phase are two arguments.
    if [[ $phase == only\ * ]]; then
        read -r _ plugin mode <<<"$phase"
        # shellcheck disable=SC1091
        source "$DEST/zun/devstack/plugin.sh"
        # shellcheck disable=SC1090,SC1091
        source "${GITDIR[$plugin]}/devstack/plugin.sh" $mode
    else
        run_phase $phase
    fi
done
