import type { Rule } from "../../../../src/sandbox/BundleRefused.ts"

/** A diff of one file, for a base with `a` = `one\ntwo\nthree\n` and `b/c` = bytes. */
export const patches: ReadonlyArray<readonly [string, Rule, object]> = [
  ["a hunk that fits elsewhere only", "Patch", {
    path: "a",
    operation: "modify",
    diff: "@@ -2,1 +2,1 @@\n-one\n+ONE\n"
  }],
  ["a hunk with another context", "Patch", {
    path: "a",
    operation: "modify",
    diff: "@@ -1,2 +1,2 @@\n-one\n+ONE\n zwei\n"
  }],
  ["a hunk with other line ends", "Patch", { path: "a", operation: "modify", diff: "@@ -1,1 +1,1 @@\n-one\r\n+ONE\n" }],
  ["a hunk beyond the end", "Patch", { path: "a", operation: "modify", diff: "@@ -999999999,1 +1,1 @@\n-one\n+ONE\n" }],
  ["hunks that overlap", "Patch", {
    path: "a",
    operation: "modify",
    diff: "@@ -1,2 +1,2 @@\n-one\n+ONE\n two\n@@ -2,1 +2,1 @@\n-two\n+TWO\n"
  }],
  ["a hunk that denies the line feed", "Patch", {
    path: "a",
    operation: "modify",
    diff: "@@ -1,1 +1,1 @@\n-one\n\\ No newline at end of file\n+ONE\n"
  }],
  ["no diff at all", "Patch", { path: "a", operation: "modify", diff: "--- a\n@@ nonsense" }],
  ["a hunk that lies about its length", "Patch", {
    path: "a",
    operation: "modify",
    diff: "@@ -1,5 +1,1 @@\n-one\n+ONE\n"
  }],
  ["the diffs of two files", "Patch", {
    path: "a",
    operation: "modify",
    diff: "--- a\n+++ a\n@@ -1,1 +1,1 @@\n-one\n+ONE\n--- x\n+++ x\n@@ -1,1 +1,1 @@\n-x\n+y\n"
  }],
  ["text for a binary file", "Patch", { path: "b/c", operation: "modify", diff: "@@ -1,1 +1,1 @@\n-one\n+ONE\n" }],
  ["binary without content", "Patch", {
    path: "b/c",
    operation: "modify",
    diff: "diff --git a/b/c b/b/c\nBinary files a/b/c and b/b/c differ\n"
  }],
  ["content that is no base64", "Patch", { path: "b/c", operation: "modify", diff: "", binaryContent: "%%%" }],
  ["an addition of what is there", "Patch", { path: "a", operation: "add", diff: "@@ -0,0 +1,1 @@\n+x\n" }],
  ["a change of what is not there", "Patch", { path: "z", operation: "modify", diff: "@@ -0,0 +1,1 @@\n+x\n" }],
  ["a deletion of what is not there", "Patch", { path: "z", operation: "delete", diff: "" }],
  ["a symbolic link in git's way", "Symlink", {
    path: "z",
    operation: "add",
    diff:
      "diff --git a/z b/z\nnew file mode 120000\n--- /dev/null\n+++ b/z\n@@ -0,0 +1,1 @@\n+/etc/passwd\n\\ No newline at end of file\n"
  }],
  ["a submodule in git's way", "Symlink", {
    path: "z",
    operation: "add",
    diff: "diff --git a/z b/z\nnew file mode 160000\n--- /dev/null\n+++ b/z\n@@ -0,0 +1,1 @@\n+Subproject commit 0\n"
  }],
  ["a file in a file", "NotADirectory", { path: "a/b", operation: "add", diff: "@@ -0,0 +1,1 @@\n+x\n" }],
  ["another spelling of a file", "Case", { path: "A", operation: "add", diff: "@@ -0,0 +1,1 @@\n+x\n" }],
  ["another spelling of a directory", "Case", { path: "B/d", operation: "add", diff: "@@ -0,0 +1,1 @@\n+x\n" }]
]
