//! A kernel that tells what a test says.

use std::cell::RefCell;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;

use capture::bpf::Account;
use dissect::Timestamp;

use super::*;
use crate::Proc;

const HOME: u64 = 1;
const AWAY: u64 = 2;

#[derive(Debug, Default)]
struct Said {
    events: Vec<Event>,
    /// Said while it is asked to wake.
    meanwhile: Vec<Event>,
    wake: Option<bool>,
    lost: u64,
    snapshots: usize,
    round_trips: Vec<RoundTrip>,
    totals: Vec<Total>,
}

#[derive(Debug)]
struct Fake {
    said: Rc<RefCell<Said>>,
    tells_use: bool,
    nothing: File,
}

impl Kernel for Fake {
    fn read(&mut self, each: &mut dyn FnMut(Event)) {
        self.said.borrow_mut().events.drain(..).for_each(each);
    }

    fn wake_by_next(&mut self, next: bool) {
        let mut said = self.said.borrow_mut();
        said.wake = Some(next);
        let meanwhile = std::mem::take(&mut said.meanwhile);
        said.events.extend(meanwhile);
    }

    fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.said.borrow_mut().lost)
    }

    fn snapshot(&mut self, _: &mut dyn FnMut(Event)) -> io::Result<()> {
        self.said.borrow_mut().snapshots += 1;
        Ok(())
    }

    fn accounts(
        &mut self,
        round_trip: &mut dyn FnMut(RoundTrip),
        total: &mut dyn FnMut(Total),
    ) -> io::Result<()> {
        let said = self.said.borrow();
        said.round_trips.iter().copied().for_each(round_trip);
        said.totals.iter().cloned().for_each(total);
        Ok(())
    }

    fn clocks(&self) -> Clocks {
        Clocks { events: 99_000_000_000, packets: 99_000_000_000 }
    }

    fn home(&self) -> u64 {
        HOME
    }

    fn tells_use(&self) -> bool {
        self.tells_use
    }

    fn tells_all(&self) -> bool {
        self.tells_use
    }

    fn cgroups(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.nothing.as_fd()
    }
}

/// What is told, whom it is told, and `/proc`, which is empty.
struct Lab {
    said: Rc<RefCell<Said>>,
    told: Told,
    reader: OwnerReader,
    root: tempfile::TempDir,
    now: Instant,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn process(pid: u32, exec: u32) -> Process {
    let name = format!("process-{pid}").as_str().into();
    Process { pid, start: 7_000_000_000, exec, parent: 1, uid: 33, cgroup: 0, name }
}

fn event(cookie: u64, namespace: u64, pid: u32, known: Known, kind: Kind) -> Event {
    let process = process(pid, 3);
    Event { kind, at: 9_000_000_000, cookie, namespace, process, known }
}

fn tuple(local: &str, remote: &str) -> Kind {
    Kind::Tuple { protocol: 17, local: at(local), remote: at(remote) }
}

fn executed(path: &str, arguments: &[u8]) -> Kind {
    Kind::Exec(Program { path: path.to_owned(), arguments: arguments.to_vec() })
}

fn question(source: &str, destination: &str) -> Question {
    Question {
        protocol: Protocol::UDP,
        source: at(source),
        destination: at(destination),
        translated: None,
        namespace: None,
        interface: 0,
        begun: Timestamp(9_000_000_000),
    }
}

impl Lab {
    fn new(tells_use: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        let said = Rc::<RefCell<Said>>::default();
        let nothing = File::open("/dev/null").unwrap();
        let told = Told::new(Box::new(Fake { said: said.clone(), tells_use, nothing }));
        let reader = OwnerReader::new(Proc::new(root.path().join("proc")), root.path());
        Self { said, told, reader, root, now: Instant::now() }
    }

    fn say(&mut self, events: impl IntoIterator<Item = Event>) {
        self.said.borrow_mut().events.extend(events);
        self.told.read(&mut self.reader, self.now);
    }

    fn ask(&mut self, source: &str, destination: &str, local: Local) -> Option<Answer> {
        self.told.answer(&question(source, destination), local, &mut self.reader, self.now)
    }

    /// Number of the owner, and the end it is at.
    fn owner(&mut self, source: &str, destination: &str, local: Local) -> Option<(u32, End, Option<u32>)> {
        match self.ask(source, destination, local)? {
            Answer::Owner(found) => Some((found.owner.pid, found.end, found.peer.map(|peer| peer.pid))),
            Answer::None(reason) => panic!("{reason}"),
        }
    }
}

/// Which sockets of a flow are elsewhere.
fn elsewhere(answer: Option<Answer>) -> Elsewhere {
    let Some(Answer::Owner(found)) = answer else { panic!("no owner: {answer:?}") };
    found.elsewhere
}

const SOURCE: Local = Local { source: true, destination: false };
const DESTINATION: Local = Local { source: false, destination: true };
const NEITHER: Local = Local { source: false, destination: false };

#[test]
fn who_has_ended_is_known_by_what_was_told() {
    let mut lab = Lab::new(true);
    let exec = executed("/usr/bin/process-4711", b"process-4711\0-v\0");
    lab.say([
        event(0, 0, 4711, Known::Made, exec),
        event(5, HOME, 4711, Known::Used, tuple("10.0.0.1:4000", "10.0.0.2:53")),
        event(5, HOME, 4711, Known::Used, Kind::End),
    ]);
    let Some(Answer::Owner(found)) = lab.ask("10.0.0.1:4000", "10.0.0.2:53", SOURCE) else { panic!() };
    assert_eq!((found.end, found.evidence), (End::Source, Evidence::Told));
    assert_eq!(
        (found.owner.pid, found.owner.name.as_str(), found.owner.uid),
        (4711, "process-4711", Some(33))
    );
    assert_eq!(found.owner.executable.as_deref(), Some("/usr/bin/process-4711"));
    assert_eq!(found.owner.command_line, ["process-4711", "-v", ""]);
    assert_eq!((found.owner.start, found.owner.parent), (700, 1));
    // The other way round it is the receiver.
    assert_eq!(lab.owner("10.0.0.2:53", "10.0.0.1:4000", DESTINATION), Some((4711, End::Destination, None)));
    assert_eq!(lab.ask("10.0.0.1:4001", "10.0.0.2:53", SOURCE), None);
}

#[test]
fn both_ends_of_a_flow_on_this_host() {
    let mut lab = Lab::new(true);
    lab.say([
        event(5, HOME, 10, Known::Used, tuple("10.0.0.1:4000", "10.0.0.1:53")),
        event(6, HOME, 20, Known::Used, tuple("10.0.0.1:53", "10.0.0.1:4000")),
    ]);
    let both = Local { source: true, destination: true };
    assert_eq!(lab.owner("10.0.0.1:4000", "10.0.0.1:53", both), Some((10, End::Source, Some(20))));
    assert_eq!(elsewhere(lab.ask("10.0.0.1:4000", "10.0.0.1:53", both)), Elsewhere::Nobody);
}

#[test]
fn another_namespace_counts_where_no_address_is_ours() {
    let mut lab = Lab::new(true);
    lab.say([
        event(5, AWAY, 10, Known::Used, tuple("10.0.0.1:4000", "10.0.0.2:53")),
        event(6, 3, 20, Known::Used, tuple("10.0.0.2:53", "10.0.0.1:4000")),
    ]);
    assert_eq!(lab.owner("10.0.0.1:4000", "10.0.0.2:53", NEITHER), Some((10, End::Source, Some(20))));
    assert_eq!(elsewhere(lab.ask("10.0.0.1:4000", "10.0.0.2:53", NEITHER)), Elsewhere::All);
    // Whoever has our address is asked otherwise: the other end does not stand in for it.
    assert_eq!(lab.ask("10.0.0.1:4000", "10.0.0.2:53", DESTINATION), None);
    // In two namespaces it may be either.
    lab.say([event(7, 4, 30, Known::Used, tuple("10.0.0.1:4000", "10.0.0.2:53"))]);
    assert_eq!(lab.owner("10.0.0.1:4000", "10.0.0.2:53", NEITHER), Some((20, End::Destination, None)));
}

#[test]
fn the_peer_of_who_is_here_may_be_elsewhere() {
    let mut lab = Lab::new(true);
    lab.say([
        event(5, HOME, 10, Known::Used, tuple("10.0.0.1:4000", "10.0.0.2:53")),
        event(6, AWAY, 20, Known::Used, tuple("10.0.0.2:53", "10.0.0.1:4000")),
    ]);
    assert_eq!(lab.owner("10.0.0.1:4000", "10.0.0.2:53", SOURCE), Some((10, End::Source, Some(20))));
    assert_eq!(elsewhere(lab.ask("10.0.0.1:4000", "10.0.0.2:53", SOURCE)), Elsewhere::Peer);
    assert_eq!(
        lab.owner("10.0.0.2:53", "10.0.0.1:4000", DESTINATION),
        Some((10, End::Destination, Some(20)))
    );
    assert_eq!(elsewhere(lab.ask("10.0.0.2:53", "10.0.0.1:4000", DESTINATION)), Elsewhere::Peer);
}

#[test]
fn who_accepts_is_waited_for() {
    let mut lab = Lab::new(true);
    lab.say([event(5, HOME, 10, Known::Inherited, tuple("10.0.0.1:80", "10.0.0.2:4000"))]);
    let deferred = Some(Answer::None(Reason::Deferred));
    assert_eq!(lab.ask("10.0.0.2:4000", "10.0.0.1:80", DESTINATION), deferred);
    lab.say([event(5, HOME, 11, Known::Used, Kind::Owner)]);
    assert_eq!(lab.owner("10.0.0.2:4000", "10.0.0.1:80", DESTINATION), Some((11, End::Destination, None)));

    lab.say([event(6, HOME, 10, Known::Inherited, tuple("10.0.0.1:80", "10.0.0.2:4001"))]);
    assert_eq!(lab.ask("10.0.0.2:4001", "10.0.0.1:80", DESTINATION), deferred);
    lab.now += PATIENCE;
    let Some(Answer::Owner(found)) = lab.ask("10.0.0.2:4001", "10.0.0.1:80", DESTINATION) else { panic!() };
    assert_eq!((found.owner.pid, found.evidence), (10, Evidence::ToldListener));
    // When it is used at last, that is news.
    lab.say([event(6, HOME, 12, Known::Used, Kind::Owner)]);
    let changes = lab.told.take_changes(&mut lab.reader);
    let told: Vec<_> = changes.iter().map(|change| (change.owner.pid, change.own, change.another)).collect();
    assert_eq!(told, [(12, at("10.0.0.1:80"), false)]);
}

#[test]
fn where_use_is_not_told_who_listens_is_no_answer() {
    let mut lab = Lab::new(false);
    lab.say([event(5, HOME, 10, Known::Inherited, tuple("10.0.0.1:80", "10.0.0.2:4000"))]);
    assert_eq!(lab.ask("10.0.0.2:4000", "10.0.0.1:80", DESTINATION), None);
    lab.say([event(6, HOME, 10, Known::Made, tuple("10.0.0.1:4000", "10.0.0.2:80"))]);
    assert_eq!(lab.owner("10.0.0.1:4000", "10.0.0.2:80", SOURCE), Some((10, End::Source, None)));
}

#[test]
fn a_five_tuple_that_another_takes_over_is_news() {
    let mut lab = Lab::new(true);
    let ends = || tuple("10.0.0.1:4000", "10.0.0.2:53");
    lab.say([event(5, HOME, 10, Known::Used, ends()), event(5, HOME, 10, Known::Used, Kind::End)]);
    // Nobody was answered yet.
    lab.say([event(6, HOME, 11, Known::Made, ends())]);
    assert_eq!(lab.told.take_changes(&mut lab.reader), []);
    assert_eq!(lab.owner("10.0.0.1:4000", "10.0.0.2:53", SOURCE), Some((11, End::Source, None)));
    lab.say([event(7, HOME, 12, Known::Made, ends())]);
    lab.say([event(8, HOME, 13, Known::Made, ends())]);
    let changes = lab.told.take_changes(&mut lab.reader);
    let told: Vec<_> = changes.iter().map(|change| (change.owner.pid, change.another)).collect();
    assert_eq!(told, [(12, true), (13, true)]);
}

#[test]
fn an_unconnected_socket_has_whatever_passes_its_own_end() {
    let mut lab = Lab::new(true);
    lab.say([event(5, HOME, 10, Known::Used, tuple("10.0.0.1:53", "0.0.0.0:0"))]);
    for other in ["10.0.0.2:4000", "10.0.0.3:4001"] {
        assert_eq!(lab.owner(other, "10.0.0.1:53", DESTINATION), Some((10, End::Destination, None)));
    }
    // A connected one that has the same own end comes first.
    lab.say([event(6, HOME, 11, Known::Used, tuple("10.0.0.1:53", "10.0.0.3:4001"))]);
    assert_eq!(lab.owner("10.0.0.3:4001", "10.0.0.1:53", DESTINATION), Some((11, End::Destination, None)));
    // Both flows that were answered for are another's when the port is.
    lab.say([event(7, HOME, 12, Known::Made, tuple("10.0.0.1:53", "0.0.0.0:0"))]);
    let changes = lab.told.take_changes(&mut lab.reader);
    let others: Vec<_> =
        changes.iter().map(|change| (change.owner.pid, change.other, change.another)).collect();
    assert_eq!(others, [(12, at("10.0.0.2:4000"), true), (12, at("10.0.0.3:4001"), true)]);
    assert_eq!(lab.ask("10.0.0.3:4001", "10.0.0.1:54", DESTINATION), None);
}

/// A flow that begins after a socket's end is not its: of what arrives for whoever it is from, at once; of its very
/// five-tuple and of what it has sent, when nothing of that can be under way any more.
#[test]
fn what_begins_after_a_sockets_end_is_not_its() {
    const END: i64 = 9_000_000_000;
    let mut lab = Lab::new(true);
    let ends = |cookie, what| {
        [event(cookie, HOME, 10, Known::Used, what), event(cookie, HOME, 10, Known::Used, Kind::End)]
    };
    lab.say(ends(5, tuple("10.0.0.1:53", "0.0.0.0:0")));
    lab.say(ends(6, tuple("10.0.0.1:54", "10.0.0.2:4000")));
    let (any, very) = ("10.0.0.1:53", "10.0.0.1:54");
    for (source, destination, local, after) in [
        ("10.0.0.2:4000", any, DESTINATION, 1_000_000),
        (any, "10.0.0.2:4000", SOURCE, 3_000_000_000),
        ("10.0.0.2:4000", very, DESTINATION, 3_000_000_000),
        (very, "10.0.0.2:4000", SOURCE, 3_000_000_000),
    ] {
        for (begun, is_its) in [(END - 1, true), (END + after, true), (END + after + 1, false)] {
            let question = Question { begun: Timestamp(begun), ..question(source, destination) };
            let answer = lab.told.answer(&question, local, &mut lab.reader, lab.now);
            assert_eq!(answer.is_some(), is_its, "{source} to {destination}, {begun}");
        }
    }
    // Another process's that has the same ends now.
    lab.say([event(7, HOME, 11, Known::Used, tuple(any, "0.0.0.0:0"))]);
    let late = Question { begun: Timestamp(END + 5_000_000), ..question("10.0.0.2:4000", any) };
    let Some(Answer::Owner(found)) = lab.told.answer(&late, DESTINATION, &mut lab.reader, lab.now) else {
        panic!()
    };
    assert_eq!(found.owner.pid, 11);
}

#[test]
fn an_echo_is_found_with_and_without_its_identifier() {
    let mut lab = Lab::new(true);
    let what = Kind::Tuple { protocol: 1, local: at("10.0.0.1:77"), remote: at("10.0.0.2:0") };
    lab.say([event(5, HOME, 10, Known::Used, what)]);
    for source in ["10.0.0.1:77", "10.0.0.1:0"] {
        let question = Question { protocol: Protocol::ICMP, ..question(source, "10.0.0.2:0") };
        assert!(lab.told.answer(&question, SOURCE, &mut lab.reader, lab.now).is_some(), "{source}");
    }
}

/// It has executed another program, but stands where it stood.
#[test]
fn the_container_of_a_process_that_goes_on_as_another_program() {
    const ID: &str = "4d5a9f0c4d5a9f0c4d5a9f0c4d5a9f0c4d5a9f0c4d5a9f0c4d5a9f0c4d5a9f0c";
    let mut lab = Lab::new(true);
    for (pid, start) in [(10, 700), (11, 701)] {
        let folder = lab.root.path().join(format!("proc/{pid}"));
        std::fs::create_dir_all(&folder).unwrap();
        let stat = format!("{pid} (sleep) S 1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 {start} 1 1\n");
        std::fs::write(folder.join("stat"), stat).unwrap();
        std::fs::write(folder.join("cgroup"), format!("4:pids:/docker/{ID}\n0::/\n")).unwrap();
    }
    for pid in [10, 11] {
        let connected = tuple(&format!("10.0.0.1:40{pid}"), "10.0.0.2:53");
        let next = process(pid, 4);
        let exec =
            Event { process: next, ..event(0, 0, pid, Known::Made, executed("/usr/bin/sleep", b"sleep\09")) };
        lab.say([event(pid.into(), HOME, pid, Known::Used, connected), exec]);
    }
    let container = |lab: &mut Lab, source| match lab.ask(source, "10.0.0.2:53", SOURCE) {
        Some(Answer::Owner(found)) => found.owner.container.as_ref().map(|container| container.id.clone()),
        other => panic!("{other:?}"),
    };
    std::fs::remove_dir_all(lab.root.path().join("proc/10")).unwrap();
    assert_eq!(container(&mut lab, "10.0.0.1:4010").as_deref(), Some(ID), "read while it was there");
    // This is another process of the same number.
    assert_eq!(container(&mut lab, "10.0.0.1:4011"), None);
}

#[test]
fn losses_are_counted_and_followed_by_a_snapshot() {
    let mut lab = Lab::new(true);
    assert_eq!(lab.said.borrow().snapshots, 1, "of what is there already");
    lab.say([event(5, HOME, 10, Known::Used, tuple("10.0.0.1:4000", "10.0.0.2:53"))]);
    lab.said.borrow_mut().lost = 3;
    lab.say([]);
    assert_eq!((lab.told.lost(), lab.said.borrow().snapshots), (3, 2));
    lab.said.borrow_mut().lost = 1;
    lab.say([]);
    assert_eq!((lab.told.lost(), lab.said.borrow().snapshots), (4, 2), "not at once again");
    lab.now += HEALING;
    lab.say([]);
    assert_eq!((lab.told.lost(), lab.said.borrow().snapshots), (4, 3));
}

#[test]
fn accounts_are_since_they_began_and_told_if_they_changed() {
    let mut lab = Lab::new(true);
    let total = |pid, exec, namespace, packets_out| Total {
        process: process(pid, exec),
        namespace,
        account: Account {
            packets_out,
            bytes_out: 100 * packets_out,
            drops: pid.into(),
            ..Account::default()
        },
    };
    lab.said.borrow_mut().totals = vec![total(10, 3, HOME, 5), total(11, 3, AWAY, 7)];
    lab.told.begin_accounts().unwrap();
    assert_eq!(lab.told.take_accounts(&mut lab.reader).unwrap(), []);
    // The same process before and after it executed another program; one that was not there; those without room.
    let rest = Total { process: Process::default(), namespace: 0, ..total(0, 0, 0, 9) };
    lab.said.borrow_mut().totals = vec![
        total(10, 3, HOME, 6),
        total(10, 4, HOME, 2),
        total(11, 3, AWAY, 7),
        total(12, 3, HOME, 1),
        rest,
    ];
    let trip = |pid, namespace, micros| RoundTrip { pid, start: 7_000_000_000, namespace, micros };
    lab.said.borrow_mut().round_trips = vec![trip(10, HOME, 40), trip(10, HOME, 60), trip(13, HOME, 1)];
    let mut told = lab.told.take_accounts(&mut lab.reader).unwrap();
    told.sort_by_key(|p| p.owner.as_ref().map(|owner| owner.pid));
    let each: Vec<_> = told
        .iter()
        .map(|p| (p.owner.as_ref().map(|owner| owner.pid), p.counts.sent, p.counts.receive_drops, p.here))
        .collect();
    let expected =
        [(None, (9, 900), 0, true), (Some(10), (3, 300), 10, true), (Some(12), (1, 100), 12, true)];
    assert_eq!(each, expected);
    assert_eq!(
        (told[1].round_trips.connections, told[1].round_trips.mean()),
        (2, Some(Duration::from_micros(50)))
    );
    assert_eq!(lab.told.take_accounts(&mut lab.reader).unwrap(), []);
}

#[test]
fn the_reader_sleeps_until_it_is_woken() {
    let mut lab = Lab::new(true);
    let ends = || tuple("10.0.0.1:4000", "10.0.0.2:53");
    let rest = |lab: &mut Lab| lab.told.rest(&mut lab.reader, lab.now);
    assert_eq!(rest(&mut lab), None);
    assert_eq!(lab.said.borrow_mut().wake.take(), Some(true));
    // A process that was not known may end soon.
    lab.say([event(5, HOME, 10, Known::Used, ends())]);
    assert_eq!(rest(&mut lab), Some(SOON));
    lab.now += CALM;
    lab.say([event(6, HOME, 10, Known::Used, ends())]);
    assert_eq!(rest(&mut lab), Some(LATER));
    assert_eq!(lab.said.borrow().wake, None, "it is not asked to");
    // What is said just before it sleeps has woken nobody.
    lab.now += CALM;
    lab.said.borrow_mut().meanwhile = vec![event(7, HOME, 11, Known::Used, ends())];
    assert_eq!(rest(&mut lab), Some(SOON));
    assert_eq!(lab.owner("10.0.0.1:4000", "10.0.0.2:53", SOURCE), Some((11, End::Source, None)));
    // As long as a snapshot is due, it does not sleep for good.
    lab.now += CALM;
    for _ in 0..2 {
        lab.said.borrow_mut().lost = 1;
        lab.say([]);
    }
    assert_eq!(rest(&mut lab), Some(LATER));
    lab.now += HEALING;
    lab.say([]);
    assert_eq!(rest(&mut lab), None);
}
