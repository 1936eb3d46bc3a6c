//! Processes with sockets, whose number and name the test knows: this test program again, under another name, which
//! does what it is told line by line.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use tempfile::TempDir;

use crate::lab::Lab;

/// Set in a peer: `control` to obey its standard input, `accept` to accept from the listener that this is.
const ROLE: &str = "SOCKETHOUND_PEER";
/// Begins a peer's answers, since the test harness writes too.
const ANSWER: &str = "peer: ";

/// A process that is ended with the test.
pub(crate) struct Peer {
    child: Child,
    answers: BufReader<ChildStdout>,
    _folder: TempDir,
}

/// The same program, as a process of this name.
fn named(folder: &TempDir, name: &str, role: &str) -> Command {
    let path = folder.path().join(name);
    symlink(env::current_exe().unwrap(), &path).unwrap();
    let mut command = Command::new(path);
    command.args(["--exact", "peer::peer", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

impl Peer {
    /// Starts one in a namespace. Names are up to 15 bytes, which is what the kernel keeps.
    pub(crate) fn start(lab: &Lab, side: &str, name: &str) -> Self {
        Self::spawn(lab, side, name, None).unwrap()
    }

    /// The same as another user, who may not be permitted to read this program.
    pub(crate) fn start_as(lab: &Lab, side: &str, name: &str, user: u32) -> io::Result<Self> {
        Self::spawn(lab, side, name, Some(user))
    }

    fn spawn(lab: &Lab, side: &str, name: &str, user: Option<u32>) -> io::Result<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = named(&folder, name, "control");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(user) = user {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
            command.uid(user).gid(user);
        }
        let mut child = lab.within(side, move || command.spawn())?;
        let answers = BufReader::new(child.stdout.take().unwrap());
        Ok(Self { child, answers, _folder: folder })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it do something; its answer.
    pub(crate) fn tell(&mut self, line: &str) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        loop {
            answer.clear();
            assert_ne!(self.answers.read_line(&mut answer).unwrap(), 0, "the peer ended at: {line}");
            // Words of the harness may stand before it in the line.
            if let Some((_, answer)) = answer.split_once(ANSWER) {
                return answer.trim().to_owned();
            }
        }
    }

    /// The same, where the answer is an address and port.
    pub(crate) fn end(&mut self, line: &str) -> SocketAddr {
        self.tell(line).parse().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input ends it, and whom it started.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: what a peer does.
#[test]
fn peer() {
    match env::var(ROLE).as_deref() {
        Ok("control") => Sockets::default().obey(),
        Ok("accept") => accept_from_stdin(),
        _ => {}
    }
}

#[allow(clippy::print_stdout)]
fn answer(text: impl std::fmt::Display) {
    println!("{ANSWER}{text}");
}

/// What a peer holds.
#[derive(Default)]
struct Sockets {
    listener: Option<TcpListener>,
    streams: Vec<TcpStream>,
    datagrams: Option<UdpSocket>,
    /// Those it had before.
    fixed: Vec<UdpSocket>,
    worker: Option<(Child, TempDir)>,
}

impl Sockets {
    fn obey(&mut self) {
        for line in io::stdin().lines() {
            let line = line.unwrap();
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["listen", at] => {
                    let listener = TcpListener::bind(at).unwrap();
                    answer(listener.local_addr().unwrap());
                    self.listener = Some(listener);
                }
                ["connect", to] => {
                    let stream = TcpStream::connect(to).unwrap();
                    answer(stream.local_addr().unwrap());
                    self.streams.push(stream);
                }
                ["knock", to] => {
                    assert!(TcpStream::connect(to).is_err());
                    answer("refused");
                }
                ["accept"] => {
                    let (stream, from) = self.listener.as_ref().unwrap().accept().unwrap();
                    answer(from);
                    self.streams.push(stream);
                }
                ["say"] => {
                    self.streams.last().unwrap().write_all(&[7; 100]).unwrap();
                    answer("said");
                }
                ["hear"] => {
                    self.streams.last().unwrap().read_exact(&mut [0; 100]).unwrap();
                    answer("heard");
                }
                ["work", name] => answer(self.start_worker(name)),
                ["bind", at] => {
                    let socket = UdpSocket::bind(at).unwrap();
                    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                    answer(socket.local_addr().unwrap());
                    self.datagrams = Some(socket);
                }
                ["fix", to] => {
                    let socket = self.datagrams.as_ref().unwrap();
                    socket.connect(to).unwrap();
                    answer(socket.local_addr().unwrap());
                }
                ["renew"] => {
                    answer(self.renew());
                }
                ["send"] => {
                    self.datagrams.as_ref().unwrap().send(&[7; 100]).unwrap();
                    answer("sent");
                }
                ["send", to] => {
                    self.datagrams.as_ref().unwrap().send_to(&[7; 100], to).unwrap();
                    answer("sent");
                }
                ["receive"] => {
                    let (_, from) = self.datagrams.as_ref().unwrap().recv_from(&mut [0; 100]).unwrap();
                    answer(from);
                }
                _ => panic!("{line}"),
            }
        }
        if let Some((mut worker, _)) = self.worker.take() {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }

    /// Keeps the socket of datagrams, and takes another one at the same address and port; which.
    fn renew(&mut self) -> SocketAddr {
        use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt::set_socket_reuseaddr};
        let before = self.datagrams.take().unwrap();
        let at = before.local_addr().unwrap();
        let next = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        for socket in [before.as_fd(), next.as_fd()] {
            set_socket_reuseaddr(socket, true).unwrap();
        }
        bind(&next, &at).unwrap();
        self.fixed.push(before);
        let next = UdpSocket::from(next);
        next.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        self.datagrams = Some(next);
        at
    }

    /// Starts a process that accepts from this one's listener, as forked servers have; its number.
    fn start_worker(&mut self, name: &str) -> u32 {
        let folder = tempfile::tempdir().unwrap();
        let listener = self.listener.as_ref().unwrap().try_clone().unwrap();
        let mut worker = named(&folder, name, "accept");
        let worker = worker.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).spawn().unwrap();
        let pid = worker.id();
        self.worker = Some((worker, folder));
        pid
    }
}

/// Accepts one connection, reads what it says, answers, and keeps it. Ends when the one who started it does.
fn accept_from_stdin() {
    let listener = TcpListener::from(rustix::stdio::stdin().try_clone_to_owned().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    stream.write_all(&[8; 100]).unwrap();
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        std::thread::sleep(Duration::from_millis(100));
    }
}
