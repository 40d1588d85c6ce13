/** What `npm run bench -- repository` takes beside --small and --json. */
export const REPOSITORY_OPTIONS = {
  /** Pairs of runs, of which the medians count; five. */
  rounds: { type: 'string' },
  /** Size of the image in MiB; 4096. */
  mib: { type: 'string' },
  /** Threads of ours for the work on chunks; two. */
  cores: { type: 'string' },
  /** Chunk size of ours in KiB; the repository's default. */
  'chunk-kib': { type: 'string' },
  /** Only ours, with chunks of 64 KiB to 4 MiB, as the table of docs/decisions/0014. */
  'chunk-sizes': { type: 'boolean' },
  /** Whom to compare with where they are installed: `restic,borg`, or `none`. borg takes half of the time and has no target. */
  peers: { type: 'string' },
  /** The second half of the image are variations of the first. */
  doubled: { type: 'boolean' },
} as const;
