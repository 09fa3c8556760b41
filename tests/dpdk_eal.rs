//! Starting and ending DPDK, its lcores, and the sentence for each way in which it does not start.
#![cfg(feature = "dpdk")]

mod dpdk_alone;

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dpdk_alone::{alone, options, pool, port};
use pollcast::config::plan::Hugepages;
use pollcast::dpdk::{Clock, Eal, EalError, EalOptions, LcoreError, Memory, Port, PortError, devices};
use pollcast::io::{BufPool, Rung};

fn refusal(options: &EalOptions) -> String {
    let error = Eal::init(options).expect_err("EAL must not start");
    let sentence = error.to_string();
    assert!(!sentence.contains('\n'), "one sentence: {sentence}");
    sentence
}

#[test]
fn a_start_and_an_end_say_nothing_and_leave_nothing_behind() {
    let said = alone("a_start_and_an_end_say_nothing_and_leave_nothing_behind", || {
        let options = options(&["net_null0", "net_ring0"]);
        let eal = Eal::init(&options).unwrap();
        assert_eq!(eal.memory(), Memory::Ordinary);
        assert!(Eal::version().starts_with("DPDK "), "{}", Eal::version());
        let clock = Clock::new(&eal);
        let (before, began) = (clock.now(), std::time::Instant::now());
        std::thread::sleep(std::time::Duration::from_millis(50));
        let (by_tsc, by_kernel) = (clock.now().since(before), began.elapsed());
        assert!(by_tsc.abs_diff(by_kernel) < by_kernel / 50, "{by_tsc:?} {by_kernel:?}");
        eal.cleanup().unwrap();
        for dir in ["/var/run/dpdk", "/tmp/dpdk"] {
            assert!(!Path::new(dir).join(&options.plan.file_prefix).exists());
        }
        for dir in ["/run/pollcast", "/tmp/pollcast"] {
            assert!(!Path::new(dir).join(format!("{}.lock", options.plan.file_prefix)).exists());
        }
        assert!(matches!(Eal::init(&options), Err(EalError::AlreadyStarted)));
    });
    if let Some(said) = said {
        assert_eq!(said, "", "on standard error");
    }
}

#[test]
fn jobs_run_on_their_lcores_and_a_panic_is_reported() {
    alone("jobs_run_on_their_lcores_and_a_panic_is_reported", || {
        let mut options = options(&[]);
        options.lcores = vec![(0, 0), (5, 0)];
        let eal = Eal::init(&options).unwrap();
        let ran = Arc::new(AtomicU32::new(0));
        let main = std::thread::current().id();
        let seen = Arc::clone(&ran);
        eal.launch(
            5,
            Box::new(move || {
                assert_ne!(std::thread::current().id(), main);
                seen.fetch_add(1, Ordering::Relaxed);
            }),
        )
        .unwrap();
        eal.wait(5).unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), 1);
        assert_eq!(Arc::strong_count(&ran), 1, "the job is gone");

        eal.launch(5, Box::new(|| panic!("the {}th wheel", 5))).unwrap();
        let error = eal.wait(5).unwrap_err();
        assert_eq!(error.to_string(), "the job on lcore 5 panicked: the 5th wheel");
        assert_eq!(eal.wait(5), Err(LcoreError::Idle(5)));
        // It lives.
        eal.launch(5, Box::new(|| ())).unwrap();
        eal.wait(5).unwrap();
        assert!(!eal.is_running(5));
        for none_of_ours in [0, 1, 127, 128, u32::MAX] {
            assert!(matches!(eal.launch(none_of_ours, Box::new(|| ())), Err(LcoreError::Refused { .. })));
        }
        eal.cleanup().unwrap();
    });
}

#[test]
fn a_busy_lcore_takes_no_second_job_and_keeps_dpdk_alive() {
    alone("a_busy_lcore_takes_no_second_job_and_keeps_dpdk_alive", || {
        let eal = Eal::init(&options(&[])).unwrap();
        let (stop, stopped) = crossbeam::channel::bounded::<()>(1);
        eal.launch(1, Box::new(move || assert!(stopped.recv().is_err()))).unwrap();
        assert!(eal.is_running(1));
        let refused = eal.launch(1, Box::new(|| ())).unwrap_err();
        assert!(refused.to_string().contains("EBUSY"), "{refused}");
        let error = eal.cleanup().unwrap_err();
        assert_eq!(
            error.to_string(),
            "DPDK cannot be ended in order, its memory stays until the process ends: lcore 1 still runs"
        );
        drop(stop);
    });
}

#[test]
fn dpdk_does_not_end_while_a_buffer_is_held() {
    alone("dpdk_does_not_end_while_a_buffer_is_held", || {
        let eal = Eal::init(&options(&[])).unwrap();
        let pool = pool(&eal, 63);
        let held = pool.alloc_copy(&[7; 60]).unwrap();
        drop(pool);
        assert!(eal.cleanup().unwrap_err().to_string().ends_with("somebody else still holds: 1"));
        assert_eq!(pollcast::io::PacketBuf::data(&held), [7; 60]);
        drop(held);
    });
}

#[test]
fn threads_register_and_use_the_pool() {
    alone("threads_register_and_use_the_pool", || {
        let eal = Eal::init(&options(&[])).unwrap();
        let pool = pool(&eal, 255);
        let (handle, shared) = (eal.handle(), pool.clone());
        std::thread::spawn(move || {
            let guard = handle.register_thread().unwrap();
            for _ in 0..10 {
                let bufs: Vec<_> = (0..100).filter_map(|_| shared.alloc()).collect();
                assert_eq!(bufs.len(), 100);
            }
            drop(guard);
        })
        .join()
        .unwrap();
        assert_eq!(pool.free_count(), 255);
        drop(pool);
        eal.cleanup().unwrap();
    });
}

#[test]
fn an_lcore_or_cpu_that_does_not_exist() {
    alone("an_lcore_or_cpu_that_does_not_exist", || {
        let mut options = options(&[]);
        options.lcores = vec![(0, 0), (1, 5000)];
        let sentence = refusal(&options);
        assert!(sentence.contains("CPU 5000, which this machine does not have"), "{sentence}");
        options.lcores = vec![(0, 0), (4000, 0)];
        assert!(refusal(&options).contains("lcore 4000 does not exist"));
        // Nothing reached DPDK: it starts still.
        options.lcores = vec![(0, 0)];
        Eal::init(&options).unwrap().cleanup().unwrap();
    });
}

#[test]
fn hugepages_that_are_required_and_not_there() {
    alone("hugepages_that_are_required_and_not_there", || {
        let mut options = options(&[]);
        options.plan.hugepages = Hugepages::Required;
        options.plan.memory_mb = 900_000_000;
        let sentence = refusal(&options);
        assert!(sentence.contains("900000000 MiB of hugepages are required"), "{sentence}");
        assert!(sentence.contains("vm.nr_hugepages="), "{sentence}");
    });
}

#[test]
fn a_file_prefix_that_is_in_use() {
    alone("a_file_prefix_that_is_in_use", || {
        let options = options(&[]);
        let eal = Eal::init(&options).unwrap();
        // Another process of ours.
        let exe = std::env::current_exe().unwrap();
        let output = std::process::Command::new(exe)
            .args(["second_program_with_the_prefix", "--exact", "--nocapture"])
            .env("POLLCAST_TEST_PREFIX", &options.plan.file_prefix)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        eal.cleanup().unwrap();
    });
}

/// The other half of `a_file_prefix_that_is_in_use`; alone, it takes a free prefix.
#[test]
fn second_program_with_the_prefix() {
    match std::env::var("POLLCAST_TEST_PREFIX") {
        Ok(prefix) => {
            let mut options = options(&[]);
            options.plan.file_prefix = prefix.clone();
            let sentence = refusal(&options);
            assert!(
                sentence.contains(&format!(
                    "the file prefix \"{prefix}\" is in use by another pollcast (process "
                ))
            );
            assert!(sentence.contains("eal.file_prefix"), "{sentence}");
        }
        Err(_) => {
            alone("second_program_with_the_prefix", || {
                Eal::init(&options(&[])).unwrap().cleanup().unwrap();
            });
        }
    }
}

#[test]
fn a_file_prefix_that_another_dpdk_program_uses() {
    alone("a_file_prefix_that_another_dpdk_program_uses", || {
        let options = options(&[]);
        let base = if nix::unistd::getuid().is_root() { "/run".into() } else { runtime_base() };
        let dir = Path::new(&base).join("dpdk").join(&options.plan.file_prefix);
        fs::create_dir_all(&dir).unwrap();
        let config = dir.join("config");
        fs::write(&config, [0; 64]).unwrap();
        // As EAL does it: a lock on the file, held by the process that runs.
        let mut holder = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["holds_a_lock", "--exact", "--nocapture"])
            .env("POLLCAST_TEST_LOCK", &config)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(holder.stdout.take().unwrap()));
        while !lines.next().unwrap().unwrap().contains("locked") {}
        let sentence = refusal(&options);
        drop(holder.stdin.take());
        holder.wait().unwrap();
        assert!(sentence.contains(&format!("another DPDK program (process {})", holder.id())), "{sentence}");
        // What is left is stale, and no hindrance.
        Eal::init(&options).unwrap().cleanup().unwrap();
        assert!(!dir.exists());
    });
}

fn runtime_base() -> String {
    std::env::var("XDG_RUNTIME_DIR").unwrap_or_else(|_| "/tmp".into())
}

/// The other half of `a_file_prefix_that_another_dpdk_program_uses`; alone, it locks a file of its own.
#[test]
fn holds_a_lock() {
    let own = tempfile::NamedTempFile::new().unwrap();
    let path = std::env::var_os("POLLCAST_TEST_LOCK");
    let file = match &path {
        Some(path) => File::options().read(true).write(true).open(path).unwrap(),
        None => own.reopen().unwrap(),
    };
    let lock = libc::flock {
        l_type: 1, // F_WRLCK
        l_whence: 0,
        l_start: 8,
        l_len: 16,
        l_pid: 0,
    };
    let taken = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETLK(&lock));
    assert!(taken.is_ok() && file.as_raw_fd() >= 0);
    if path.is_some() {
        println!("locked");
        std::io::stdin().lines().for_each(drop);
    }
}

#[test]
fn a_device_that_does_not_exist() {
    for (test, device, says) in [
        ("a_device_of_no_driver", "net_nonesuch0,iface=x", "no DPDK driver takes it"),
        ("a_device_on_no_bus", "ffff:ff:1f.7", "the device ffff:ff:1f.7 does not exist"),
        (
            "a_device_that_its_driver_refuses",
            "net_af_packet0,iface=nonesuch0",
            "net_af_packet0,iface=nonesuch0",
        ),
    ] {
        // Three processes, since each reaches DPDK.
        if std::env::var("POLLCAST_TEST_DEVICE").is_ok_and(|chosen| chosen == test) {
            let sentence = refusal(&options(&[device]));
            assert!(sentence.contains(says), "{sentence}");
            eprintln!("{sentence}");
            return;
        }
        if std::env::var_os("POLLCAST_TEST_DEVICE").is_none() {
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["a_device_that_does_not_exist", "--exact", "--nocapture"])
                .env("POLLCAST_TEST_DEVICE", test)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            assert_eq!(said.lines().count(), 1, "DPDK's own lines must not show:\n{said}");
        }
    }
}

#[test]
fn an_argument_that_dpdk_does_not_know() {
    let said = alone("an_argument_that_dpdk_does_not_know", || {
        let mut options = options(&[]);
        options.plan.args = vec!["--no-such-argument".into()];
        let sentence = refusal(&options);
        assert!(sentence.starts_with("DPDK does not start"), "{sentence}");
    });
    assert!(said.is_none_or(|said| said.is_empty()), "DPDK's usage must not show");
}

#[test]
fn ports_that_cannot_be() {
    alone("ports_that_cannot_be", || {
        let eal = Eal::init(&options(&["net_ring0", "net_null0"])).unwrap();
        let pool = pool(&eal, 1023);
        let open = |device, pairs| Port::open(&eal, &port(device), pairs, &pool);
        let many = open("net_ring0", 17).unwrap_err();
        assert!(matches!(many, PortError::TooFewQueues { want: 17, .. }), "{many}");
        assert!(many.to_string().contains("17 workers want a queue pair each"));
        assert!(matches!(open("net_ring7", 1), Err(PortError::NoDevice { .. })));
        let first = open("net_null0", 1).unwrap();
        assert!(matches!(open("net_null0", 1), Err(PortError::InUse { .. })));
        drop((first, pool));
        eal.cleanup().unwrap();
    });
}

#[test]
fn devices_are_listed_and_probed() {
    alone("devices_are_listed_and_probed", || {
        let eal = Eal::init(&options(&["net_null0", "net_ring0"])).unwrap();
        let listed = devices::list(&eal, false);
        assert_eq!(listed.iter().map(|d| d.driver.as_str()).collect::<Vec<_>>(), ["net_null", "net_ring"]);
        assert!(listed.iter().all(|d| d.filter.is_none() && d.mac.is_some() && d.max_rx_queues > 0));
        for device in devices::list(&eal, true) {
            let state = device.filter.unwrap().unwrap();
            assert_eq!(state.macs.len(), 2);
            assert_eq!(state.refused[0].rung, Rung::AddrList, "{}: {state:?}", device.name);
        }
        eal.cleanup().unwrap();
    });
}
