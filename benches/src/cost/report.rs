//! Results as people read them: a Markdown page with its circumstances and a
//! table, and a plot beside it.

use std::fmt::Write;
use std::io;
use std::path::Path;

/// A page of results.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The file's name without an ending.
    pub name: String,
    /// The question.
    pub title: String,
    /// Sentences on how it was measured.
    pub notes: Vec<String>,
    /// Machine, versions, date, command.
    pub circumstances: Vec<String>,
    /// The table's first row.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// Files of plots with their content.
    pub plots: Vec<(String, String)>,
}

impl Report {
    /// Writes `<name>.md` and the plots.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (file, content) in &self.plots {
            std::fs::write(folder.join(file), content)?;
        }
        std::fs::write(folder.join(format!("{}.md", self.name)), self.markdown())
    }

    /// The page.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n", self.title);
        for note in &self.notes {
            let _ = writeln!(out, "{note}\n");
        }
        for line in &self.circumstances {
            let _ = writeln!(out, "- {line}");
        }
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<String> = self.head.iter().map(|_| "---".to_owned()).collect();
        out.push('\n');
        out.push_str(&row(&self.head));
        out.push_str(&format!("|{}|\n", rule.join("|")));
        for cells in &self.rows {
            out.push_str(&row(cells));
        }
        for (file, _) in &self.plots {
            let _ = write!(out, "\n![{}]({file})\n", self.title);
        }
        out
    }
}
