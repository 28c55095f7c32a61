/** Every bound on bundles, trees, changes and blobs. Sizes are bytes unless a name says otherwise. */
export const BundleLimits = {
  /** All files of a bundle together. */
  totalBytes: 104_857_600,
  /** `README.md`, the manifest. */
  manifestBytes: 5_242_880,
  /** Files under `patches/`, and paths that a manifest lists. */
  patches: 1_000,
  /** Files under `artifacts/`. */
  artifacts: 1_000,
  /** Characters of a path; bytes of one name in it; names in it. */
  pathChars: 1_024,
  nameBytes: 255,
  depth: 32,
  runIdChars: 256,
  /** `outputs` of a manifest: levels of nesting, elements of an array, characters of a string. */
  outputsDepth: 16,
  outputsElements: 512,
  outputsStringChars: 65_536,
  /** A recorded tree: files, directories, all bytes, bytes of one file. */
  treeFiles: 20_000,
  treeDirectories: 20_000,
  treeBytes: 536_870_912,
  fileBytes: 104_857_600,
  /** Files that one change set may touch. */
  changes: 1_000,
  /** Longer files are changed as a whole: they have no hunks. */
  diffFileBytes: 1_048_576,
  /** Lines that differ; beyond them the file is one hunk that replaces everything. */
  diffEdits: 1_000,
  /** Texts of a change set that are compared by lines, before and after; the files beyond it have no hunks. */
  diffTextBytes: 33_554_432,
  /** A diff bundle on the wire, with its binary contents. */
  diffBundleBytes: 5_242_880,
  /** The changes of a node or of a run as one answer of the gateway. */
  answerBytes: 52_428_800,
  /** Characters of each of the three versions that a stale base is refused with. */
  versionChars: 65_536,
  /** Stale files that are shown. */
  versions: 20
} as const
