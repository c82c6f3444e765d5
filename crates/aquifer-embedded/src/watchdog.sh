# Ends a private server and removes its directory when the owner is gone.
#
# Arguments: the directory to make now and to remove at the end; the server's data directory; the
# signals to end the server with, gentlest first. Standard input is a pipe that only the owner holds
# open: it carries the id of each process the owner starts in this shell's process group, and its
# end, however it came about, is the order to clean up.
#
# Signals go to the process group, whose id cannot be taken by anyone else while this shell is in
# it; process ids are only looked at, never trusted. Only the POSIX shell and its usual companions.

# The owner's terminal must not end the guard before the guarded. HUP also comes from the kernel
# when the owner dies while the server is stopped by SIGSTOP.
trap '' HUP INT QUIT TERM

directory=$1
data=$2
signals=$3
process=

mkdir -m 700 "$directory" || exit 1
echo ready
exec >/dev/null

while read -r line; do
    process=$line
done

# A zombie whose parent never reaps it does not count as alive.
alive() {
    [ -n "$process" ] &&
        kill -0 "$process" 2>/dev/null &&
        ! grep -qs '^State:[[:space:]]*Z' "/proc/$process/status"
}

for signal in $signals; do
    kill -s "$signal" 0
    kill -s CONT 0
    checks=0
    while alive && [ "$checks" -lt 100 ]; do
        sleep 0.1
        checks=$((checks + 1))
    done
    alive || break
done

# A postmaster that was killed leaves its lock file, a System V segment of a few bytes and perhaps
# backends that were stopped. The segment's id is in line 7 of it; a process counts as a left-over
# if it is a postgres that works in this data directory. A lock file with another process's id is
# somebody else's.
lock=$data/postmaster.pid
if [ -f "$lock" ] && ! alive && [ "$(sed -n 1p "$lock")" = "$process" ]; then
    segment=$(sed -n '7s/^ *[0-9][0-9]*  *\([0-9][0-9]*\) *$/\1/p' "$lock")
    for entry in /proc/[0-9]*; do
        [ "$(readlink "$entry/cwd")" = "$data" ] || continue
        case $(readlink "$entry/exe") in
        */postgres*) kill -s KILL "${entry#/proc/}" ;;
        esac
    done
    [ -z "$segment" ] || ipcrm -m "$segment"
fi

checks=0
until rm -rf "$directory" || [ "$checks" -ge 50 ]; do
    sleep 0.1
    checks=$((checks + 1))
done

# Last, since it ends this shell as well: a server that no signal above could end.
alive && kill -s KILL 0
[ ! -e "$directory" ]
