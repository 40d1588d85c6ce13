import { MIB } from '../../../src/common/index.js';
import { VixFault } from './vix-fault.js';

/** Guide, Table 3-4: what one ESXi host has for the buffers of all NFC sessions, and how many go through one vCenter. */
const HOST_MEMORY_BYTES = 48 * MIB;
const VCENTER_SESSIONS = 52;

/** NFC sessions of the whole vCenter: one for each disk that is open over the network. */
export class NfcSessions {
  private readonly bytesOf = new Map<string, number>();
  private count = 0;

  /** @returns what gives it back. @throws VixFault as VDDK tells it: "Unknown error", and a line in its log. */
  open(hostMoRef: string, bufferBytes: number): () => void {
    const used = this.bytesOf.get(hostMoRef) ?? 0;
    if (used + bufferBytes > HOST_MEMORY_BYTES)
      throw new VixFault(
        1,
        `NBD_ClientOpen: NFC_NO_MEMORY: ${hostMoRef} has ${HOST_MEMORY_BYTES - used} bytes left for NFC buffers, not ${bufferBytes}`,
      );
    if (this.count >= VCENTER_SESSIONS)
      throw new VixFault(1, `NBD_ClientOpen: NFC_SESSION_ERROR: all ${VCENTER_SESSIONS} NFC sessions are in use`);
    this.bytesOf.set(hostMoRef, used + bufferBytes);
    this.count += 1;
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.count -= 1;
      this.bytesOf.set(hostMoRef, (this.bytesOf.get(hostMoRef) ?? 0) - bufferBytes);
    };
  }
}
