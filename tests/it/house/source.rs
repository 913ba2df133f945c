//! The project's own files, as text and as Rust tokens. Reads; judges nothing.
//!
//! Tokens come from the compiler's own grammar, so a word in a comment or a string is never taken for code.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The root of this checkout.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One token of a file. Groups are flattened: their braces are tokens of their own.
#[derive(Debug)]
pub(super) struct Token {
    /// As written.
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
    /// How many groups it stands in. A group's own braces count as outside of it.
    pub(super) depth: usize,
}

/// One Rust file.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    /// As written.
    pub(super) text: String,
    /// Without comments.
    pub(super) tokens: Vec<Token>,
}

/// A function with a body.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name, without the type it belongs to.
    pub(super) name: String,
    /// Where `fn` stands.
    pub(super) line: usize,
    /// Lines from `fn` to the closing brace, both counted.
    pub(super) length: usize,
}

impl Source {
    /// Parses `text` as the file `path`.
    pub(super) fn parse(path: &str, text: String) -> Self {
        let stream: TokenStream = text.parse().unwrap_or_else(|e| panic!("{path} is no Rust: {e}"));
        let mut tokens = Vec::new();
        flatten(stream, 0, &mut tokens);
        Self { path: path.to_owned(), text, tokens }
    }

    /// The files and folders of the modules that this file declares for tests alone.
    fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.strip_suffix("/mod.rs").or_else(|| self.path.strip_suffix("/lib.rs")) {
            Some(folder) => folder,
            None => self.path.trim_end_matches(".rs"),
        };
        let gates = (0..self.tokens.len()).filter(|at| self.matches(*at, &["cfg", "(", "test", ")", "]"]));
        let names = gates.filter_map(|at| {
            // `mod` may follow a visibility: `pub(crate) mod`.
            let keyword = (at + 5..at + 10).find(|at| self.matches(*at, &["mod"]))?;
            self.matches(keyword + 2, &[";"]).then(|| &self.tokens[keyword + 1].text)
        });
        names.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]).collect()
    }

    /// The module right under the crate's root that this file belongs to, `None` for lib.rs and main.rs.
    pub(super) fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        match inside.split_once('/') {
            Some((folder, _)) => Some(folder),
            None => inside.strip_suffix(".rs").filter(|name| !matches!(*name, "lib" | "main")),
        }
    }

    /// Whether the tokens from `at` on are `pattern`.
    pub(super) fn matches(&self, at: usize, pattern: &[&str]) -> bool {
        let window = self.tokens.get(at..at + pattern.len());
        window.is_some_and(|window| window.iter().zip(pattern).all(|(token, text)| token.text == *text))
    }

    /// The lines on which `pattern` starts.
    pub(super) fn lines_of(&self, pattern: &[&str]) -> Vec<usize> {
        (0..self.tokens.len()).filter(|at| self.matches(*at, pattern)).map(|at| self.tokens[at].line).collect()
    }

    /// Every function with a body, nested ones too.
    pub(super) fn functions(&self) -> Vec<Function> {
        let named = |at: &usize| self.tokens[*at].text == "fn" && is_name(&self.tokens[at + 1].text);
        (0..self.tokens.len().saturating_sub(1)).filter(named).filter_map(|at| self.function(at)).collect()
    }

    fn function(&self, at: usize) -> Option<Function> {
        let start = &self.tokens[at];
        let mut rest = self.tokens[at..].iter().filter(|token| token.depth == start.depth);
        rest.find(|token| token.text == ";" || token.text == "{").filter(|token| token.text == "{")?;
        let end = rest.find(|token| token.text == "}")?;
        let name = self.tokens[at + 1].text.clone();
        Some(Function { name, line: start.line, length: end.line - start.line + 1 })
    }

    /// The modules under the crate's root that it names, by `crate::…` or by a chain of `super` that reaches the root,
    /// each with its line.
    pub(super) fn reaches(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        let mut inner = Vec::new(); // depths of the inline modules around this token
        for at in 0..self.tokens.len() {
            let token = &self.tokens[at];
            inner.retain(|depth| *depth < token.depth || (*depth == token.depth && token.text != "}"));
            if token.text == "mod" && self.matches(at + 2, &["{"]) {
                inner.push(token.depth);
            }
            let after = match token.text.as_str() {
                "crate" => self.matches(at + 1, &[":", ":"]).then_some(at + 3),
                "super" => self.climb(at, self.nesting() + inner.len()),
                _ => None,
            };
            found.extend(after.into_iter().flat_map(|at| self.first_names(at)));
        }
        found
    }

    /// How many modules stand between this file's items and the root.
    fn nesting(&self) -> usize {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inside.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main")).count()
    }

    /// Where the path goes on after a chain of `super` that starts at `at` and is `levels` long.
    fn climb(&self, at: usize, levels: usize) -> Option<usize> {
        if at >= 3 && self.matches(at - 3, &["super", ":", ":"]) {
            return None; // inside of a chain that was seen already
        }
        let chain = (0..self.tokens.len()).take_while(|step| self.matches(at + 3 * step, &["super", ":", ":"])).count();
        (chain >= levels && levels > 0).then_some(at + 3 * chain)
    }

    /// The first names of the path, or of each path in the braces, at `at`.
    fn first_names(&self, at: usize) -> Vec<(String, usize)> {
        let Some(first) = self.tokens.get(at) else { return Vec::new() };
        if first.text != "{" {
            return vec![(first.text.clone(), first.line)];
        }
        let inside = self.tokens[at + 1..].iter().take_while(|token| token.depth > first.depth);
        let mut names = Vec::new();
        let mut fresh = true;
        for token in inside.filter(|token| token.depth == first.depth + 1) {
            if fresh {
                names.push((token.text.clone(), token.line));
            }
            fresh = token.text == ",";
        }
        names
    }
}

/// Every Rust file under `folder`, in the order of their paths.
pub(super) fn rust(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let rust = found.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    rust.map(|path| Source::parse(&relative(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// The files that are compiled into the program: those under `src` that belong to no module for tests alone.
pub(super) fn production() -> Vec<Source> {
    let mut files = rust("src");
    let tests: Vec<_> = files.iter().flat_map(Source::test_modules).collect();
    files.retain(|file| !tests.iter().any(|module| file.path.starts_with(module)));
    files
}

/// Every text file of the project with its path: what Git keeps or would keep, or, without Git, what is there.
pub(super) fn texts() -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output();
    let paths = match listed {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8_lossy(&output.stdout).into_owned();
            names.split('\0').filter(|name| !name.is_empty()).map(|name| root().join(name)).collect()
        }
        _ => {
            let mut found = Vec::new();
            walk(root(), &mut found);
            found
        }
    };
    paths.into_iter().filter_map(|path| Some((relative(&path), fs::read_to_string(&path).ok()?))).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() {
            found.push(path);
        } else if !matches!(name.as_str(), "target" | "data" | "node_modules" | ".git") {
            walk(&path, found);
        }
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")
}

fn flatten(stream: TokenStream, depth: usize, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::None => ("", ""),
                };
                into.push(Token { text: open.to_owned(), line, depth });
                flatten(group.stream(), depth + 1, into);
                let line = group.span_close().start().line;
                into.push(Token { text: close.to_owned(), line, depth });
            }
            other => into.push(Token { text: other.to_string(), line, depth }),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
