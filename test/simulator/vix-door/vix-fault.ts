/** A refusal, by the code VDDK gives for it (reference vddk-abi §1.5). */
export class VixFault extends Error {
  constructor(
    readonly vixError: number,
    message: string,
  ) {
    super(message);
  }
}
