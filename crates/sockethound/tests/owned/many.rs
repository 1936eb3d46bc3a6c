//! Many processes at once, and more than the kernel's messages have room for.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use serde_json::Value;

use crate::kinds::{settle, told};
use crate::lab::Lab;
use crate::program::{Run, Running, end};
use crate::user::{Made, User};

/// Events are of the whole machine: the processes of one test take the room of the other's.
#[expect(clippy::disallowed_types, reason = "tests of one program run at once, and share nothing else")]
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> impl Drop {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the flows of `made` were owned: the processes found, wrong answers, and flows without an owner by reason.
fn score(run: &Run, made: &[Made]) -> (usize, Vec<String>, HashMap<String, usize>) {
    // Ports are used again: then each process has a flow of its own.
    let mut by_port: HashMap<u16, HashMap<u64, String>> = HashMap::new();
    for (number, made) in made.iter().enumerate().filter(|(_, made)| made.port != 0) {
        by_port.entry(made.port).or_default().insert(made.pid.into(), format!("m{number}"));
    }
    let (mut right, mut wrong, mut without) = (HashSet::new(), Vec::new(), HashMap::new());
    for flow in run.flows().filter(|flow| flow["network"]["transport"] == "tcp") {
        let Some(users) = by_port.get(&end(&flow["source"]).port()) else { continue };
        let process = &flow["process"];
        let Some(pid) = process["pid"].as_u64() else {
            let reason = flow["sockethound"]["attribution"]["reason"].as_str().expect("a reason");
            *without.entry(reason.to_owned()).or_default() += 1;
            continue;
        };
        if users.get(&pid).is_some_and(|name| process["name"] == name.as_str()) {
            right.insert(pid);
        } else {
            wrong.push(format!("{users:?}: {process}"));
        }
    }
    (right.len(), wrong, without)
}

#[test]
#[allow(clippy::print_stderr)]
fn root_twenty_thousand_processes_in_ten_seconds() {
    let _alone = alone();
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = user.serve(&lab, "b", "the-server", "sink 10.N.1.2 0");
    let running = Running::start(&lab, "a", "-i va -t 2");
    let made = user.run(&lab, "a", "the-parent", &format!("many 10.N.1.2 {} 20000 10", server.port));
    settle();
    let run = running.stop();
    let (right, wrong, without) = score(&run, &made);
    eprintln!("right {right}, wrong {}, without an owner {without:?}", wrong.len());
    assert_eq!(wrong, Vec::<String>::new());
    let connected = made.iter().filter(|made| made.port != 0).count();
    assert!(connected >= 19_900, "{connected} of {} connected", made.len());
    assert!(right * 1000 >= connected * 999, "{right} of {connected}: {without:?}");
}

/// With room for few messages, many are lost: that is said, the sockets that go on are found again, and none is wrong.
#[test]
fn root_lost_events_are_counted_and_healed() {
    let _alone = alone();
    let (Some(lab), Some(user)) = (Lab::pair(), User::new()) else { return };
    let server = user.serve(&lab, "b", "the-server", "sink 10.N.1.2 0");
    let running = Running::start(&lab, "a", "-i va --bpf-ring 4");
    let made = user.run(&lab, "a", "the-parent", &format!("many 10.N.1.2 {} 3000 1", server.port));
    std::thread::sleep(std::time::Duration::from_secs(3));
    let later = user.run(&lab, "a", "the-later", &format!("tcp 10.N.1.2 {}", server.port));
    settle();
    let run = running.stop();
    let (right, wrong, _) = score(&run, &made);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(right < made.len(), "nothing was lost: the test forces nothing");
    let said = run.stderr.lines().find(|line| line.contains("what the kernel tells of owners"));
    let said = said.unwrap_or_else(|| panic!("{}", run.stderr));
    let lost: u64 = said.split(' ').find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    assert!(lost > 0, "{said}");
    let of_it = |flow: &&Value| end(&flow["source"]).port() == later[0].port;
    told(run.flows().find(of_it).unwrap(), later[0].pid, "the-later");
}
