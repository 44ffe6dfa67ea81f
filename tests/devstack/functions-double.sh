# shellcheck shell=bash

# A double of DevStack's "functions", for tests where DevStack cannot be had.
#
# It stands for these, as far as the plug-in and the tests use them:
#
#   functions-common  define_plugin die enable_plugin enable_service
#                     is_service_enabled plugin_requires run_phase run_process
#                     stop_process trueorfalse
#   inc/ini-config    inidelete iniset iniset_multiline
#   inc/python        get_python_exec_prefix setup_develop
#
# test_devstack.py runs the same tests with DevStack's own if DEVSTACK_DIR
# names a checkout of it.

declare -A GITDIR
DEVSTACK_PLUGINS=

define_plugin() { :; }

plugin_requires() { :; }

die() { # LINE MESSAGE...
    shift
    echo "[ERROR] $*" >&2
    exit 1
}

trueorfalse() { # DEFAULT VARIABLE
    case ${!2:-} in
        1 | yes | Yes | YES | true | True | TRUE) echo True ;;
        0 | no | No | NO | false | False | FALSE) echo False ;;
        *) echo "$1" ;;
    esac
}

is_service_enabled() { # SERVICE...: any of them
    local service
    # shellcheck disable=SC2048  # Several may come in one argument.
    for service in $*; do
        if [[ ,$ENABLED_SERVICES, == *,$service,* ]]; then return 0; fi
    done
    return 1
}

enable_service() { # SERVICE...
    local service
    for service; do
        is_service_enabled "$service" || ENABLED_SERVICES+=,$service
    done
}

enable_plugin() { # NAME URL
    DEVSTACK_PLUGINS+=" $1"
    GITDIR[$1]=$DEST/$1
}

run_phase() { # MODE [PHASE]
    local plugin
    for plugin in $DEVSTACK_PLUGINS; do
        # shellcheck disable=SC1091
        if [[ $1 == source ]]; then
            source "${GITDIR[$plugin]}/devstack/settings"
        else
            source "${GITDIR[$plugin]}/devstack/plugin.sh" "$@"
        fi
    done
}

get_python_exec_prefix() { echo "$DEVSTACK_VENV/bin"; }

setup_develop() { # DIRECTORY [EXTRAS]
    "$DEVSTACK_VENV/bin/pip" install -e "$1${2:+[$2]}"
}

run_process() { # SERVICE COMMAND
    if is_service_enabled "$1"; then
        iniset "$SYSTEMD_DIR/devstack@$1.service" Service ExecStart "$2"
        $SYSTEMCTL enable "devstack@$1.service"
        $SYSTEMCTL start "devstack@$1.service"
    fi
}

stop_process() { # SERVICE
    if is_service_enabled "$1"; then
        $SYSTEMCTL stop "devstack@$1.service"
        $SYSTEMCTL disable "devstack@$1.service"
    fi
}

inidelete() { # FILE SECTION OPTION
    local rest
    rest=$(awk -v section="[$2]" -v option="$3" '
        /^\[/ { inside = $0 == section }
        !(inside && $1 == option)' "$1")
    echo "$rest" >"$1"
}

iniset_multiline() { # FILE SECTION OPTION VALUE...
    local file=$1 section=$2 option=$3 rest
    shift 3
    grep -qxF "[$section]" "$file" 2>/dev/null ||
        printf '\n[%s]\n' "$section" >>"$file"
    inidelete "$file" "$section" "$option"
    rest=$(awk -v section="[$section]" -v lines="$(
        printf "$option = %s\n" "$@"
    )" '1; $0 == section { print lines }' "$file")
    echo "$rest" >"$file"
}

iniset() { # FILE SECTION OPTION VALUE
    iniset_multiline "$@"
}
