/** The demo itself went wrong, or what it shows is not so. The message is the reason. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}
