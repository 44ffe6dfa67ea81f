# shellcheck shell=bash

# DevStack plug-in of zun_bulk. Zun's own plug-in installs Zun and must come
# first; in each phase, this one adds to its results.

_XTRACE_ZUN_BULK=$(set +o | grep xtrace)
set -o xtrace

ZUN_BULK_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# With GLOBAL_VENV, DevStack's default, Zun, the openstack client and Horizon
# share one Python environment; without, they share the system's.
function install_zun_bulk {
    setup_develop "$ZUN_BULK_DIR" service
}

function configure_zun_bulk {
    iniset "$ZUN_CONF" DEFAULT container_driver zun_bulk
    # Capsules of Zun's CRI driver, its plug-in's default, are not Docker's.
    if [[ "$ZUN_CAPSULE_DRIVER" == "docker" ]]; then
        iniset "$ZUN_CONF" DEFAULT capsule_driver zun_bulk
    fi
    if is_service_enabled zun-api; then
        iniset "$ZUN_CONF" api api_paste_config \
            "$ZUN_BULK_DIR/etc/zun_bulk/api-paste.ini"
    fi
    if [[ "$ZUN_BULK_NETWORK" == "True" ]]; then
        iniset "$ZUN_CONF" network driver zun_bulk
    fi
    if [[ -n "$ZUN_BULK_FILTERS" ]]; then
        iniset_multiline "$ZUN_CONF" scheduler available_filters \
            zun.scheduler.filters.all_filters \
            zun_bulk.scheduler.filters.all_filters
        iniset "$ZUN_CONF" scheduler enabled_filters "$ZUN_BULK_FILTERS"
    fi
    iniset "$ZUN_CONF" zun_bulk run_conductor "$ZUN_BULK_RUN_CONDUCTOR"
    iniset "$ZUN_CONF" zun_bulk max_members "$ZUN_BULK_MAX_MEMBERS"
    iniset "$ZUN_CONF" zun_bulk metrics_port "$ZUN_BULK_METRICS_PORT"
}

# Zun's plug-in recreates Zun's database in its phase "extra", directly before
# this. zun-api and zun-compute run by then, and find the tables at their next
# check.
function init_zun_bulk {
    if is_service_enabled zun-api &&
        is_service_enabled "$DATABASE_BACKENDS"; then
        "$(get_python_exec_prefix)/zun-bulk-db-manage" \
            --config-file "$ZUN_CONF" upgrade
    fi
}

# Whether there is a Horizon, and panels for it in this tree.
function has_zun_bulk_dashboard {
    is_service_enabled horizon &&
        [[ -d "$ZUN_BULK_DIR/zun_bulk/dashboard/enabled" ]]
}

function configure_zun_bulk_dashboard {
    local folder
    for folder in enabled local_settings.d; do
        cp "$ZUN_BULK_DIR/zun_bulk/dashboard/$folder"/_[0-9]*.py \
            "$HORIZON_DIR/openstack_dashboard/local/$folder/"
    done
}

function cleanup_zun_bulk_dashboard {
    local file folder
    for folder in enabled local_settings.d; do
        for file in \
            "$ZUN_BULK_DIR/zun_bulk/dashboard/$folder"/_[0-9]*.py; do
            rm -f "$HORIZON_DIR/openstack_dashboard/local/$folder/${file##*/}"
        done
    done
}

function start_zun_bulk {
    # run_process and stop_process do nothing unless the service is enabled.
    run_process zun-bulk-conductor \
        "$(get_python_exec_prefix)/zun-bulk-conductor --config-file $ZUN_CONF"
}

function stop_zun_bulk {
    stop_process zun-bulk-conductor
}

# Zun's plug-in comes first here too, and has usually removed its zun.conf.
function cleanup_zun_bulk {
    local option
    if [[ -f "$ZUN_CONF" ]]; then
        iniset "$ZUN_CONF" DEFAULT container_driver "$ZUN_DRIVER"
        iniset "$ZUN_CONF" DEFAULT capsule_driver "$ZUN_CAPSULE_DRIVER"
        inidelete "$ZUN_CONF" api api_paste_config
        inidelete "$ZUN_CONF" network driver
        inidelete "$ZUN_CONF" scheduler available_filters
        inidelete "$ZUN_CONF" scheduler enabled_filters
        for option in run_conductor max_members metrics_port; do
            inidelete "$ZUN_CONF" zun_bulk "$option"
        done
    fi
    if has_zun_bulk_dashboard; then
        cleanup_zun_bulk_dashboard
    fi
}

# Zun's plug-in sets ZUN_CONF in each phase.
if [[ "$1 $2" == "stack pre-install" && -z "$ZUN_CONF" ]]; then
    die $LINENO "In local.conf, 'enable_plugin zun' must come before" \
        "'enable_plugin zun-bulk'"
fi

if is_service_enabled zun-api zun-compute; then
    case "$1 $2" in
        "stack install")
            echo_summary "Installing zun_bulk"
            install_zun_bulk
            ;;
        "stack post-config")
            echo_summary "Configuring zun_bulk"
            configure_zun_bulk
            if has_zun_bulk_dashboard; then
                configure_zun_bulk_dashboard
            fi
            ;;
        "stack extra")
            echo_summary "Creating the tables of zun_bulk"
            init_zun_bulk
            start_zun_bulk
            ;;
        "unstack "*)
            stop_zun_bulk
            ;;
        "clean "*)
            cleanup_zun_bulk
            ;;
    esac
fi

$_XTRACE_ZUN_BULK
