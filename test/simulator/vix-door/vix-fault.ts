/** VixError codes as VDDK gives them (reference vddk-abi §1.5). */
export const VIX = {
  fail: 1,
  invalidArgument: 3,
  fileNotFound: 4,
  fileReadOnly: 11,
  fileAccess: 13,
  alreadyLocked: 15,
  authentication: 35,
  invalidHandle: 1000,
  hostUserPermissions: 3014,
  sessionInvalid: 3047,
  vmNotFound: 4000,
  snapshotNotFound: 13003,
  serverShutdown: 14014,
  serverNotAvailable: 14015,
} as const;

/** A refusal, by the code VDDK gives for it (reference vddk-abi §1.5). */
export class VixFault extends Error {
  constructor(
    readonly vixError: number,
    message: string,
  ) {
    super(message);
  }
}
