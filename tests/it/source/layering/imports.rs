//! Reads the sources for the layering tests: what each file imports, by the folder that defines it.

use crate::workdir::{files_below, repository};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A path in this crate, from its root.
pub(super) type Names = Vec<String>;

/// A source file of the program: tests and entry points for fuzzing are left out.
pub(super) struct Source {
    /// Below `src/`.
    pub(super) path: String,
    /// Its code without comments and unit tests.
    pub(super) code: String,
    module: Names,
    /// Modules that only tests and fuzzing have.
    unshipped: Vec<String>,
}

impl Source {
    fn new(path: String, text: &str) -> Self {
        let code = shipped(text);
        let mut module: Names = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
            module.pop();
        }
        let lines: Vec<&str> = text.lines().collect();
        let gated = |line: &str| line.starts_with("#[cfg(") && (line.contains("test") || line.contains("fuzzing"));
        let unshipped = lines.windows(2).filter(|pair| gated(pair[0])).filter_map(|pair| declared(pair[1]));
        Self { unshipped: unshipped.collect(), path, code, module }
    }

    pub(super) fn top(&self) -> &str {
        self.path.split(['/', '.']).next().expect("a path is not empty")
    }

    /// The folder that contains it; a file at the top counts as a folder of its own.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(folder, _)| folder)
    }

    fn is_folders_list(&self) -> bool {
        ["mod.rs", "lib.rs", "main.rs"].contains(&self.path.rsplit('/').next().expect("a path has a name"))
    }

    /// A path as written here, from the root of the crate; `None` if it is not in this crate.
    fn absolute(&self, names: &[String]) -> Option<Names> {
        let supers = names.iter().take_while(|name| *name == "super").count();
        match names.first()?.as_str() {
            "crate" => Some(names[1..].to_vec()),
            "self" => Some([&self.module[..], &names[1..]].concat()),
            "super" => Some([&self.module[..self.module.len().checked_sub(supers)?], &names[supers..]].concat()),
            _ => None,
        }
    }

    /// The `use` trees, each with whether it is a re-export.
    fn uses(&self) -> Vec<(bool, Names)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("use ") {
            let before = self.code[..at].rsplit(['\n', ';', '{', '}']).next().unwrap_or("").trim();
            if before.is_empty() || before == "pub" || (before.starts_with("pub(") && before.ends_with(')')) {
                let tree = self.code[at + 4..].split(';').next().unwrap_or("");
                let exports = before.starts_with("pub");
                found.extend(expand(tree).into_iter().map(|names| (exports, names)));
            }
        }
        found
    }

    /// Paths of two names or more in the code itself.
    fn inline(&self) -> Vec<Names> {
        let mut found = Vec::new();
        let mut rest = self.code.as_str();
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            if !is_letter(first) || is_letter(before) || before == ':' || before == '.' {
                before = first;
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let mut names = Names::new();
            loop {
                let end = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
                names.push(rest[..end].to_owned());
                rest = &rest[end..];
                match rest.strip_prefix("::") {
                    Some(more) if more.starts_with(is_letter) => rest = more,
                    _ => break,
                }
            }
            before = 'x';
            if names.len() > 1 {
                found.push(names);
            }
        }
        found
    }

    /// Every path in this crate that the code names, from its root. What follows an imported module counts, not the import.
    pub(super) fn imports(&self) -> Vec<Names> {
        let mut found = Vec::new();
        let mut modules: HashMap<String, Names> = HashMap::new();
        for (exports, names) in self.uses() {
            let names = match names.split_last() {
                Some((last, front)) if last == "self" && !front.is_empty() => front.to_vec(),
                _ => names,
            };
            let Some(path) = self.absolute(&names) else { continue };
            if !exports {
                modules.insert(path.last().cloned().unwrap_or_default(), path.clone());
            }
            if !(exports && self.is_folders_list()) {
                found.push(path);
            }
        }
        for names in self.inline() {
            let behind = modules.get(&names[0]).map(|path| [&path[..], &names[1..]].concat());
            found.extend(self.absolute(&names).or(behind));
        }
        found
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The name of a declared module.
fn declared(line: &str) -> Option<String> {
    let (_, name) = line.split_once("mod ")?;
    name.strip_suffix(';').map(str::to_owned)
}

/// The leaves of a use tree: `model::{Code, rows::Rows as R}` gives `model::Code` and `model::rows::Rows`.
pub(super) fn expand(tree: &str) -> Vec<Names> {
    let (front, group) = tree.split_once('{').map_or((tree, None), |(front, group)| (front, Some(group)));
    let front = front.split(" as ").next().unwrap_or("");
    let names: Names = front.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let Some(group) = group else { return vec![names] };
    let leaves = members(group).into_iter().flat_map(|member| expand(&member));
    leaves.map(|leaf| [&names[..], &leaf[..]].concat()).collect()
}

/// The members of a use group, up to its closing brace, at its own depth.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut found) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().expect("never empty").push(c);
    }
    found.retain(|member| !member.trim().is_empty());
    found
}

/// Code that ships: without comments, without unit tests (at the end of a file or in files of their own), and without what
/// follows `#[cfg(test)]` on the next line.
fn shipped(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().expect("split gives one piece at least");
    let mut gated = false;
    let lines = code.lines().map(|line| {
        let line = if std::mem::replace(&mut gated, line.trim() == "#[cfg(test)]") { "" } else { line };
        line.split("//").next().unwrap_or("")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// All sources of the program.
pub(super) struct Sources {
    pub(super) all: Vec<Source>,
    modules: HashMap<Names, usize>,
    /// What a module re-exports: the name, and the path it refers to.
    exports: HashMap<(Names, String), Names>,
}

impl Sources {
    pub(super) fn read() -> Self {
        let src = repository().join("src");
        let files = files_below(&src).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
        let read = files.map(|path| {
            let name = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
            Source::new(name, &std::fs::read_to_string(&path).expect("a source file is UTF-8"))
        });
        let mut all: Vec<Source> = read.collect();
        let unshipped: HashSet<Names> = all
            .iter()
            .flat_map(|source| {
                source.unshipped.iter().map(|name| [&source.module[..], std::slice::from_ref(name)].concat())
            })
            .collect();
        let is_shipped =
            |source: &Source| !(1..=source.module.len()).any(|end| unshipped.contains(&source.module[..end]));
        all.retain(is_shipped);
        let modules: HashMap<Names, usize> =
            all.iter().enumerate().map(|(at, source)| (source.module.clone(), at)).collect();
        let mut exports = HashMap::new();
        for source in &all {
            for (_, names) in source.uses() {
                let own = || Some([&source.module[..], &names[..]].concat());
                let child = || modules.contains_key(&[&source.module[..], &names[..1]].concat());
                let to = source.absolute(&names).or_else(|| if child() { own() } else { None });
                if let (Some(to), Some(last)) = (to, names.last()) {
                    exports.insert((source.module.clone(), last.clone()), to);
                }
            }
        }
        Self { all, modules, exports }
    }

    /// The source that defines what a path names, re-exports followed; `None` for a module alone.
    fn defines(&self, path: &[String]) -> Option<&Source> {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let deepest = (0..=path.len()).rev().find(|end| self.modules.contains_key(&path[..*end]))?;
            let name = path.get(deepest)?;
            match self.exports.get(&(path[..deepest].to_vec(), name.clone())) {
                Some(to) if to[..] != path[..=deepest] => path = [&to[..], &path[deepest + 1..]].concat(),
                _ => return self.modules.get(&path[..deepest]).map(|at| &self.all[*at]),
            }
        }
        None
    }

    /// Which folder imports which, and where: named paths, and methods that a folder adds to another's type, by their
    /// names if these are unique.
    pub(super) fn folders(&self) -> BTreeMap<(String, String), BTreeSet<String>> {
        let mut edges: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        let mut add = |from: &Source, to: &Source, what: String| {
            if from.folder() != to.folder() {
                let key = (from.folder().to_owned(), to.folder().to_owned());
                edges.entry(key).or_default().insert(format!("{}: {what}", from.path));
            }
        };
        for source in &self.all {
            for path in source.imports() {
                if let Some(definer) = self.defines(&path) {
                    add(source, definer, path.join("::"));
                }
            }
        }
        for (method, adder) in self.added_methods() {
            let calls = [format!(".{method}("), format!("::{method}(")];
            for source in self.all.iter().filter(|source| calls.iter().any(|call| source.code.contains(call))) {
                add(source, adder, format!("{method}()"));
            }
        }
        edges
    }

    /// Methods that a file adds to a type of another folder, where no other function has the name.
    fn added_methods(&self) -> Vec<(String, &Source)> {
        let mut homes: HashMap<&str, Vec<&Source>> = HashMap::new();
        let mut functions: HashMap<&str, usize> = HashMap::new();
        for source in &self.all {
            for line in source.code.lines() {
                let words: Vec<&str> = line.split(|c: char| !is_letter(c)).filter(|word| !word.is_empty()).collect();
                for pair in words.windows(2) {
                    if ["struct", "enum"].contains(&pair[0]) && !line.starts_with(' ') {
                        homes.entry(pair[1]).or_default().push(source);
                    }
                    if pair[0] == "fn" {
                        *functions.entry(pair[1]).or_default() += 1;
                    }
                }
            }
        }
        let mut found = Vec::new();
        for source in &self.all {
            let mut added = false;
            for line in source.code.lines() {
                let words: Vec<&str> = line.split(|c: char| !is_letter(c)).filter(|word| !word.is_empty()).collect();
                if line.starts_with("impl") {
                    let home = words.get(1).and_then(|name| homes.get(name)).filter(|homes| homes.len() == 1);
                    added = !words.contains(&"for") && home.is_some_and(|home| home[0].folder() != source.folder());
                } else if added && line.starts_with("    ") && !line.starts_with("     ") {
                    let name = words.windows(2).find(|pair| pair[0] == "fn").map(|pair| pair[1]);
                    found.extend(
                        name.filter(|name| functions.get(name) == Some(&1)).map(|name| (name.to_owned(), source)),
                    );
                }
            }
        }
        found
    }
}
