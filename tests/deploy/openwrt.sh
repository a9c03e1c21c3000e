# What /etc/rc.common gives to the init script of deploy/openwrt: the functions of OpenWrt for uci
# and procd. The sections are a file as `uci export` prints them; calls of procd are printed.
# Usage: sh openwrt.sh SCRIPT FOLDER PROGRAM ACTION
# shellcheck shell=dash disable=SC1090,SC1091,SC2034,SC2154,SC2317,SC3043

trace() {
	printf '%s' "$1"
	shift
	[ $# = 0 ] || printf '|%s' "$@" | tr '\n' '~'
	printf '\n'
}

reset_cb() {
	config_cb() { :; }
	option_cb() { :; }
	list_cb() { :; }
}
reset_cb

config_load() {
	[ "$1" = countersign ] || exit 9
	CONFIG_SECTIONS='' CONFIG_COUNT=0
	. "$folder/uci"
	config_cb
}

package() { :; }

config() {
	CONFIG_COUNT=$((CONFIG_COUNT + 1))
	CONFIG_SECTION="${2:-cfg$CONFIG_COUNT}"
	CONFIG_SECTIONS="$CONFIG_SECTIONS $CONFIG_SECTION"
	config_set "$CONFIG_SECTION" TYPE "$1"
	config_cb "$1" "$CONFIG_SECTION"
}

option() {
	config_set "$CONFIG_SECTION" "$1" "$2"
	option_cb "$1" "$2"
}

list() {
	list_cb "$1" "$2"
}

config_set() {
	local section="$1" option="$2" value="$3"
	eval "CONFIG_${section}_${option}=\$value"
}

config_get() {
	eval "$1=\"\${CONFIG_${2}_${3}:-\$4}\""
}

get_bool() {
	case "$1" in
	1 | on | true | yes | enabled) printf 1 ;;
	0 | off | false | no | disabled) printf 0 ;;
	*) printf '%s' "$2" ;;
	esac
}

config_get_bool() {
	local found
	config_get found "$2" "$3" "$4"
	found="$(get_bool "$found" "$4")"
	eval "$1=\$found"
}

config_foreach() {
	local section cfgtype
	for section in $CONFIG_SECTIONS; do
		config_get cfgtype "$section" TYPE
		[ "$cfgtype" != "$2" ] || "$1" "$section"
	done
}

procd_open_instance() { trace open "$@"; }
procd_set_param() { trace set "$@"; }
procd_append_param() { trace append "$@"; }
procd_add_jail() { trace jail "$@"; }
procd_add_jail_mount() { trace mount "$@"; }
procd_add_reload_trigger() { trace trigger "$@"; }
procd_close_instance() { trace close; }

# There is no user countersign, and no system log.
chown() { trace chown "$@"; }
logger() { sed 's/^/log|/'; }

script="$1" folder="$2"
# shellcheck source=../../deploy/openwrt/files/countersign.init
. "$script"
PROG="$3" KEYS="$folder/etc/keys" RUN="$folder/run" UJAIL=/bin/sh
"$4"
