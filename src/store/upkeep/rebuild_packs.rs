//! What the packs tell a rebuild: their originals, and which of the reports in them count.

use crate::model::{Finding, FindingCode, Original, Provenance, ReportKind};
use crate::store::disk::access::sync_folder;
use crate::store::disk::files::rename_new;
use crate::store::disk::layout::{FileKind, Layout};
use crate::store::error::StoreError;
use crate::store::ledger::survey;
use crate::store::pack::manifest::{ManifestLine, kind_of};
use crate::store::pack::zip::manifest_of;
use jiff::Timestamp;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An original in a pack, with its reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedReport {
    /// Its bytes.
    pub original: Arc<Original>,
    /// The reports that were read from it.
    pub reports: Vec<KeptReport>,
}

/// What a pack says about a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReport {
    /// Its key, as it was stored.
    pub key: String,
    /// What it is.
    pub kind: ReportKind,
    /// When it was first committed.
    pub ingested: Timestamp,
    /// Where it came from.
    pub provenance: Provenance,
    /// Findings about its mail and the layers around it, which its bytes do not show.
    pub findings: Vec<Finding>,
    /// Whether another report has replaced it.
    pub replaced: bool,
}

/// What the manifests of all packs say together.
#[derive(Debug, Default)]
pub(super) struct ManifestIndex {
    /// Keys with a replaced report, and the batch of the last replacement.
    replaced: HashMap<String, i64>,
    /// Originals that are in several packs, by hash: a file with many reports is committed in parts, each with the whole
    /// file. Their lines are taken with the first of these packs that can be read, so that the file is read once.
    shared: HashMap<String, Vec<SharedRun>>,
}

/// The lines of a manifest by the hash of their original.
type LinesByHash = HashMap<String, Vec<ManifestLine>>;

/// Packs one after the other that contain the same original.
#[derive(Debug)]
struct SharedRun {
    packs: Vec<PathBuf>,
    /// The original's lines in all of them, until they are taken.
    lines: Vec<ManifestLine>,
}

impl ManifestIndex {
    /// Reads the manifests of packs, oldest batch first.
    pub(super) fn read(packs: &[PathBuf]) -> Result<Self, StoreError> {
        let mut index = Self::default();
        let mut before = (PathBuf::new(), LinesByHash::new());
        for pack in packs {
            // A damaged one is reported when its reports are read.
            let Some(lines) = manifest_of(pack)? else { continue };
            for line in lines.iter().filter(|line| line.replaced > 0) {
                let last = index.replaced.entry(line.key.clone()).or_default();
                *last = line.replaced.max(*last);
            }
            index.share(&mut before, pack, lines);
        }
        Ok(index)
    }

    /// Notes the lines of originals that are also in the pack before this one, whose lines are given with it.
    fn share(&mut self, before: &mut (PathBuf, LinesByHash), pack: &Path, lines: Vec<ManifestLine>) {
        let mut here = LinesByHash::new();
        for line in lines {
            here.entry(line.sha256.clone()).or_default().push(line);
        }
        let (previous, earlier) = before;
        for (hash, lines) in &here {
            let Some(first) = earlier.remove(hash) else { continue };
            let runs = self.shared.entry(hash.clone()).or_default();
            if let Some(run) = runs.last_mut().filter(|run| run.packs.last() == Some(previous)) {
                run.packs.push(pack.to_owned());
                run.lines.extend(lines.iter().cloned());
            } else {
                let lines = first.iter().chain(lines).cloned().collect();
                runs.push(SharedRun { packs: vec![previous.clone(), pack.to_owned()], lines });
            }
        }
        *before = (pack.to_owned(), here);
    }

    /// The reports in an original of a pack, given its lines there; `None` if they were taken with an earlier pack.
    pub(super) fn take(&mut self, pack: &Path, lines: Vec<ManifestLine>) -> Option<Vec<KeptReport>> {
        let runs = lines.first().and_then(|line| self.shared.get_mut(&line.sha256));
        let lines = match runs.and_then(|runs| runs.iter_mut().find(|run| run.packs.iter().any(|at| at == pack))) {
            Some(run) if run.lines.is_empty() => return None,
            Some(run) => std::mem::take(&mut run.lines),
            None => lines,
        };
        Some(lines.iter().map(|line| kept(line, &self.replaced)).collect())
    }
}

/// Complete packs under hidden names may have been committed by a lost ledger: they get their final names. An
/// incomplete one was never committed, and stays as it is.
pub(super) fn publish_packs(layout: &Layout) -> Result<(), StoreError> {
    for hidden in survey::hidden(layout, FileKind::Pack)? {
        let Some(path) = Layout::unhidden(&hidden) else { continue };
        if matches!(manifest_of(&hidden), Ok(Some(_))) && rename_new(&hidden, &path)? {
            path.parent().map_or(Ok(()), sync_folder)?;
        }
    }
    Ok(())
}

fn kept(line: &ManifestLine, replaced: &HashMap<String, i64>) -> KeptReport {
    // Later stages repeat their findings; only those about the mail and the layers around are gone.
    let findings = line.findings.iter().filter_map(|finding| {
        let code = FindingCode::ALL.iter().find(|code| code.as_str() == finding.code)?;
        let gone = code.is_of_mail() || finding.code.starts_with("archive.");
        gone.then(|| Finding::new(*code, finding.detail.clone()))
    });
    KeptReport {
        key: line.key.clone(),
        kind: kind_of(&line.member),
        ingested: line.ingested,
        provenance: line.provenance(),
        findings: findings.collect(),
        replaced: replaced.get(&line.key).is_some_and(|last| line.replaced < *last),
    }
}
