//! What a process of the harness is told on its command line, `ROLE KEY=VALUE ..`, and how results come back.

use std::collections::BTreeMap;

/// A role and its settings.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) role: String,
    values: BTreeMap<String, String>,
}

impl Terms {
    pub(crate) fn new(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            values: BTreeMap::new(),
        }
    }

    /// From a command line behind the program's name.
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        let (role, rest) = arguments.split_first()?;
        let values = rest
            .iter()
            .map(|argument| {
                argument
                    .split_once('=')
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
            })
            .collect::<Option<_>>()?;
        Some(Self {
            role: role.clone(),
            values,
        })
    }

    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.values.insert(key.to_owned(), value.to_string());
        self
    }

    /// What a peer is told that is to be reached as these terms say.
    pub(crate) fn of_peer(&self, role: &str) -> Self {
        let mut peer = Self::new(role);
        for key in ["scheme", "certificates"] {
            if let Some(value) = self.values.get(key) {
                peer = peer.with(key, value);
            }
        }
        peer
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let values = self.values.iter().map(|(key, value)| format!("{key}={value}"));
        std::iter::once(self.role.clone()).chain(values).collect()
    }

    /// Empty if it was not given.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    /// 0 if it was not given.
    pub(crate) fn number(&self, key: &str) -> u64 {
        self.values.get(key).map_or(0, |value| {
            value.parse().unwrap_or_else(|_| panic!("{key} is a number"))
        })
    }
}
