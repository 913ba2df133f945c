//! Lists on the way out: a table with lines on a terminal, plain aligned columns when piped, JSON when asked for. The JSON
//! has a version, and members are only ever added to it.

use std::io;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};
use serde_json::{Value, json};

use super::session::Screen;

/// A list with its columns' titles.
pub(super) struct List {
    titles: Vec<&'static str>,
    /// The columns of numbers, which stand right.
    numbers: Vec<usize>,
    rows: Vec<Vec<String>>,
    items: Vec<Value>,
    empty: String,
}

impl List {
    /// An empty list; `empty` is what a person reads when it stays so.
    pub(super) fn new(titles: &[&'static str], empty: impl Into<String>) -> Self {
        let (titles, empty) = (titles.to_vec(), empty.into());
        Self { titles, numbers: Vec::new(), rows: Vec::new(), items: Vec::new(), empty }
    }

    /// The same with numbers in these columns.
    pub(super) fn with_numbers(self, numbers: Vec<usize>) -> Self {
        Self { numbers, ..self }
    }

    /// Adds one thing: as a row for people, as an object for programs.
    pub(super) fn add(&mut self, row: Vec<String>, item: Value) {
        self.rows.push(row);
        self.items.push(item);
    }

    /// The objects for programs.
    pub(super) fn into_items(self) -> Vec<Value> {
        self.items
    }

    /// Writes it.
    pub(super) fn show(self, as_json: bool, screen: &mut Screen) -> io::Result<()> {
        if as_json {
            return show_items(&self.items, screen);
        }
        if self.rows.is_empty() {
            return screen.note(&self.empty);
        }
        let mut table = Table::new();
        table.set_header(self.titles);
        table.add_rows(self.rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
            if self.numbers.contains(&column.index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if screen.is_terminal {
            table.load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
            table.set_content_arrangement(ContentArrangement::Dynamic);
            if let Some(width) = screen.width {
                table.set_width(width);
            }
        } else {
            table.load_style(presets::NOTHING);
        }
        screen.say(table.trim_fmt())
    }
}

/// How many there are of something: `1 key`, `2 keys`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Several things in one cell.
pub(super) fn joined<T: ToString>(things: &[T]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Writes `items` in the shape of every list.
pub(super) fn show_items(items: &[Value], screen: &mut Screen) -> io::Result<()> {
    show_json(&json!({ "version": 1, "items": items }), screen)
}

/// Writes one JSON document.
pub(super) fn show_json(value: &Value, screen: &mut Screen) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    screen.say(text)
}

/// Pairs of a title and a text, aligned: what one thing has to say of itself.
pub(super) fn show_facts(facts: &[(&str, String)], screen: &mut Screen) -> io::Result<()> {
    let width = facts.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    for (title, text) in facts {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let title = screen.dim(&format!("{title:width$}"));
        screen.say(format!("  {title}  {first}"))?;
        for line in lines {
            screen.say(format!("  {:width$}  {line}", ""))?;
        }
    }
    Ok(())
}
