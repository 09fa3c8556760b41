//! Who ends the programs of a test process that ended without doing so: because it was killed, or because a lab that its
//! tests share has no other end.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// In the environment of every program that is started: the test process that it belongs to.
const MARK: &str = "POLLCAST_TEST_OF";

/// Waits for the end of its standard input, which is the test process's. Then whatever bears the mark gets SIGTERM, once (to
/// pollcast a second one means: at once), ten seconds, and SIGKILL. What they left behind goes too.
///
/// The kernel's own signal at a parent's end will not do: it comes again as each of the parent's threads ends.
const SCRIPT: &str = r#"
read -r _
signal=TERM
for tenth in $(seq 100) last; do
    # Its status tells only that some process is none of ours.
    found=$(grep -lzx "$1=$2" /proc/[0-9]*/environ 2>/dev/null)
    [ -n "$found" ] || break
    [ "$tenth" != last ] || signal=KILL
    for file in $found; do
        file=${file#/proc/}
        [ -z "$signal" ] || kill -s "$signal" "${file%/environ}" 2>/dev/null
    done
    signal=
    sleep 0.1
done
rm -rf /run/dpdk/pollcast-test-"$2"-* /run/pollcast/pollcast-test-"$2"-* "$3"/pollcast-test-"$2"-*
"#;

/// Puts the program that `command` will start in the warden's charge, which is there from the first of them on.
pub fn watch(command: &mut Command) {
    static WARDEN: OnceLock<Child> = OnceLock::new();
    let me = std::process::id().to_string();
    WARDEN.get_or_init(|| {
        Command::new("sh")
            .args(["-c", SCRIPT, "warden", MARK, &me])
            .arg(std::env::temp_dir())
            // Ctrl-C is not for it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    });
    command.env(MARK, me);
}
