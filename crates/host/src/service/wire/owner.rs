//! A process's facts.

use super::field::{Reader, number, option, text};
use crate::{Container, Owner, Runtime};

const RUNTIMES: [Runtime; 7] = [
    Runtime::Docker,
    Runtime::Podman,
    Runtime::Containerd,
    Runtime::CriO,
    Runtime::Lxc,
    Runtime::Nspawn,
    Runtime::Other,
];

pub(super) fn write_owner(out: &mut Vec<u8>, owner: &Owner) {
    number(out, u64::from(owner.pid));
    number(out, owner.start);
    text(out, &owner.name);
    option(out, owner.executable.as_deref(), text);
    number(out, owner.command_line.len() as u64);
    owner.command_line.iter().for_each(|word| text(out, word));
    option(out, owner.uid.map(u64::from), number);
    option(out, owner.user.as_deref(), text);
    number(out, u64::from(owner.parent));
    option(out, owner.cgroup.as_deref(), text);
    option(out, owner.unit.as_deref(), text);
    option(out, owner.container.as_ref(), |out, container| {
        out.push(RUNTIMES.iter().position(|r| *r == container.runtime).unwrap_or_default() as u8);
        text(out, &container.id);
        option(out, container.name.as_deref(), text);
        option(out, container.pod.as_deref(), text);
    });
    option(out, owner.net_namespace, number);
}

impl Reader<'_> {
    pub(super) fn owner(&mut self) -> Option<Owner> {
        Some(Owner {
            pid: self.number()? as u32,
            start: self.number()?,
            name: self.text()?,
            executable: self.option(Self::text)?,
            command_line: (0..self.number()?).map(|_| self.text()).collect::<Option<_>>()?,
            uid: self.option(Self::number)?.map(|uid| uid as u32),
            user: self.option(Self::text)?,
            parent: self.number()? as u32,
            cgroup: self.option(Self::text)?,
            unit: self.option(Self::text)?,
            container: self.option(Self::container)?,
            net_namespace: self.option(Self::number)?,
        })
    }

    fn container(&mut self) -> Option<Container> {
        Some(Container {
            runtime: *RUNTIMES.get(usize::from(self.byte()?))?,
            id: self.text()?,
            name: self.option(Self::text)?,
            pod: self.option(Self::text)?,
        })
    }
}
