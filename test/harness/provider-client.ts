import { VcdClient } from '../../src/vcd/index.js';
import type { Simulator } from '../simulator/index.js';

/** A client of the simulated VCD, logged in as its provider; to be closed by whoever asked for it. */
export function connectProvider({ description }: Simulator): Promise<VcdClient> {
  const { url, organization, userName, password, thumbprintSha256 } = description.vcd;
  return VcdClient.connect({ url, organization, userName, password, trust: { thumbprint: thumbprintSha256 }, taskPollMs: 20 });
}
