//! `docs/differences.md`, held against what the columns say of themselves.

use crate::column::{Ability, Column};
use std::collections::BTreeMap;
use std::path::Path;

/// Checks that `docs/differences.md`, in `within` or above it, says of the column exactly what the
/// column says of itself.
///
/// # Panics
/// Where it doesn't.
pub fn check_declared(column: &impl Column, within: &str) {
    let page = Path::new(within)
        .ancestors()
        .map(|folder| folder.join("docs/differences.md"))
        .find(|page| page.is_file());
    let Some(page) = page else {
        let lacks = column.lacks();
        assert!(lacks.is_empty(), "docs/differences.md is missing, to say why of {lacks:?}");
        return;
    };
    let text = std::fs::read_to_string(&page).expect("docs/differences.md can be read");
    if let Err(wrong) = compare(&text, column.name(), column.lacks()) {
        panic!("{}: {wrong}", page.display());
    }
}

/// What the page says of one column, by row.
fn declared(text: &str, column: &str) -> Result<BTreeMap<String, String>, String> {
    let mut rows = text.lines().map(cells).skip_while(|cells| !cells.iter().any(|it| it == column));
    let heading = rows.next().ok_or_else(|| format!("no table has a column `{column}`"))?;
    let place = heading.iter().position(|cell| cell == column).expect("it was found just now");
    let rows = rows.skip(1).take_while(|cells| !cells.is_empty());
    let mut declared = BTreeMap::new();
    for row in rows {
        let said = row.get(place).ok_or_else(|| format!("the row {row:?} is too short"))?;
        if declared.insert(row[0].clone(), said.clone()).is_some() {
            return Err(format!("the row `{}` is there twice", row[0]));
        }
    }
    Ok(declared)
}

/// The cells of a table's row, without the quotes around code. None where the line isn't one.
fn cells(line: &str) -> Vec<String> {
    let row = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    row.map_or_else(Vec::new, |row| row.split('|').map(cell).collect())
}

fn compare(text: &str, column: &str, lacks: &[Ability]) -> Result<(), String> {
    let mut declared = declared(text, column)?;
    for ability in Ability::ALL {
        let name = ability.name();
        let said = declared.remove(name).ok_or_else(|| format!("the row `{name}` is missing"))?;
        let reason = said.strip_prefix("no: ").filter(|reason| !reason.trim().is_empty());
        match (lacks.contains(ability), said.as_str(), reason) {
            (false, "yes", _) | (true, _, Some(_)) => {}
            (true, ..) => {
                return Err(format!("`{column}` lacks `{name}`: that wants `no: ` and a reason"));
            }
            (false, ..) => return Err(format!("`{column}` has `{name}`: that wants a `yes`")),
        }
    }
    match declared.pop_first() {
        None => Ok(()),
        Some((row, _)) => Err(format!("no ability is called `{row}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(change: impl Fn(Ability) -> String) -> String {
        let row =
            |ability: &Ability| format!("| `{}` | what | {} |\n", ability.name(), change(*ability));
        let rows: String = Ability::ALL.iter().map(row).collect();
        format!(
            "# Page\n\n| a | b |\n|---|---|\n| c | d |\n\n| ability | what | `here` |\n|---|---|---|\n{rows}\nEnd.\n"
        )
    }

    fn yes(_: Ability) -> String {
        "yes".into()
    }

    #[test]
    fn what_is_said_twice_the_same_is_fine() {
        assert_eq!(compare(&page(yes), "here", &[]), Ok(()));
        let no = |ability| {
            if ability == Ability::Threads { "no: one wall".into() } else { yes(ability) }
        };
        assert_eq!(compare(&page(no), "here", &[Ability::Threads]), Ok(()));
    }

    #[test]
    fn what_is_said_differently_is_not() {
        let no = |ability| {
            if ability == Ability::Threads { "no: one wall".into() } else { yes(ability) }
        };
        let empty =
            |ability| if ability == Ability::Threads { "no: ".into() } else { yes(ability) };
        assert!(compare(&page(no), "here", &[]).is_err(), "declared, but not lacking");
        assert!(compare(&page(yes), "here", &[Ability::Threads]).is_err(), "not declared");
        assert!(compare(&page(empty), "here", &[Ability::Threads]).is_err(), "without a reason");
        assert!(compare(&page(yes), "there", &[]).is_err(), "another column");
        let more = page(yes).replace("\n\nEnd", "\n| `flies` | what | yes |\n\nEnd");
        assert!(compare(&more, "here", &[]).is_err(), "a row that nobody knows");
        let less = page(yes).replace("| `threads` |", "| `thread` |");
        assert!(compare(&less, "here", &[]).is_err(), "a row that is missing");
    }
}
