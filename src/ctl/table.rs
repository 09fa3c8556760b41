//! Aligned columns of text.

/// To which side a column is pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of cells under a row of titles.
#[derive(Debug)]
pub(super) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(super) fn new(columns: &[(&str, Align)]) -> Self {
        let (titles, aligns) = columns.iter().map(|&(title, align)| (title.to_owned(), align)).unzip();
        Self { aligns, rows: vec![titles] }
    }

    /// Adds a row. An empty cell is fine; cells beyond the last column are not shown.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text: two spaces between columns, none at the end of a line.
    pub(super) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.aligns.len())
            .map(|column| {
                self.rows.iter().filter_map(|row| row.get(column)).map(|c| width(c)).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &align), &wide) in row.iter().zip(&self.aligns).zip(&widths) {
                let pad = " ".repeat(wide - width(cell));
                match align {
                    Align::Left => line.extend([cell, &*pad, "  "]),
                    Align::Right => line.extend([&*pad, cell, "  "]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Characters; names and numbers here have one column each.
fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("name", Align::Left), ("n", Align::Right), ("why", Align::Left)]);
        table.row(["a".into(), "100".into(), "because".into()]);
        table.row(["longer".into(), "7".into(), String::new()]);
        assert_eq!(table.render(), "name      n  why\na       100  because\nlonger    7\n");
    }
}
