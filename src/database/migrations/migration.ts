/** One step of the schema: plain SQL, run once, in its own transaction. */
export interface Migration {
  /** `NNNN-what-it-adds`, as its file is named. */
  readonly name: string;
  readonly sql: string;
}
