use super::*;

/// A directory of its own for one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory in the temporary directory");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A program of the host, replaced by what the shell makes of `text`.
    fn stand_in(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
        let mut chmod = Command::new("chmod");
        assert!(process::succeeds(chmod.arg("755").arg(&path)));
        path
    }

    /// Runs the script with stand-ins for all that it would change on the host.
    fn install(&self, apt_get: &str) -> bool {
        let stand_in = self.stand_in("apt-get", apt_get);
        self.stand_in("systemctl", r#"echo "$*" >>"$SCRATCH/systemctl-calls""#);
        process::succeeds(
            Command::new("sh")
                .args(["-c", INSTALL_SCRIPT, "install.sh", "postgresql"])
                .env("POLICY", self.path("policy-rc.d"))
                .env("CLUSTERS", self.path("createcluster.d"))
                .env("SCRATCH", &self.0)
                .env("APT_GET", &stand_in)
                // Before the systemctl of the host.
                .env("PATH", format!("{}:/usr/bin:/bin", self.0.display())),
        )
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn while_apt_runs_no_service_may_start_and_no_cluster_is_made_and_afterwards_nothing_is_left() {
    let scratch = Scratch::new("clean");
    let looks = r#"case "$*" in *install*)
        sh "$SCRATCH/policy-rc.d"; echo "$?" >"$SCRATCH/policy"
        cat "$SCRATCH"/createcluster.d/*.conf >"$SCRATCH/cluster"
    esac"#;
    assert!(scratch.install(looks));
    let read = |name: &str| fs::read_to_string(scratch.path(name)).expect("apt-get wrote it");
    assert_eq!(read("policy"), "101\n");
    assert_eq!(read("cluster"), "create_main_cluster = false\n");
    assert_eq!(read("systemctl-calls"), "disable postgresql\n");
    assert!(!scratch.path("policy-rc.d").exists());
    assert!(!scratch.path("createcluster.d").exists());
}

#[test]
fn a_failed_installation_is_reported_and_leaves_nothing_behind() {
    let scratch = Scratch::new("failed");
    assert!(!scratch.install("case \"$*\" in *install*) exit 100; esac"));
    assert!(!scratch.path("policy-rc.d").exists());
    assert!(!scratch.path("createcluster.d").exists());
}

#[test]
fn package_lists_that_cannot_be_refreshed_do_not_end_the_installation() {
    let scratch = Scratch::new("stale");
    assert!(scratch.install("case \"$*\" in *update*) exit 100; esac"));
}

#[test]
fn a_policy_of_the_host_is_left_as_it_is() {
    let scratch = Scratch::new("policy");
    fs::write(scratch.path("policy-rc.d"), "exit 104").expect("written");
    assert!(scratch.install("true"));
    assert_eq!(
        fs::read_to_string(scratch.path("policy-rc.d")).expect("still there"),
        "exit 104"
    );
}

#[test]
fn a_directory_that_somebody_names_must_hold_the_server() {
    let scratch = Scratch::new("named");
    let failure = refuse_a_wrong_directory(Some(&scratch.0)).expect_err("it is empty");
    assert!(
        failure.to_string().contains(POSTGRES_DIRECTORY),
        "{failure}"
    );
    for name in ["postgres", "initdb"] {
        fs::write(scratch.path(name), "").expect("written");
    }
    refuse_a_wrong_directory(Some(&scratch.0)).expect("it holds the server");
    refuse_a_wrong_directory(None).expect("nothing is named");
}

#[test]
fn the_advice_names_every_missing_package_for_each_system() {
    let advice = advice(&[&POSTGRES, &REDIS], "and so on").to_string();
    assert!(
        advice.contains("apt-get install postgresql redis-server"),
        "{advice}"
    );
    assert!(
        advice.contains("brew install postgresql@17 redis"),
        "{advice}"
    );
}
