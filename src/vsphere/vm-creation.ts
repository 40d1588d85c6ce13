import type { Logger, XmlElement } from '../common/index.js';
import { bootOrderFor } from './device-places.js';
import { configToSpec, specXml } from './config-to-spec.js';
import { VsphereError } from './errors.js';
import type { Inventory } from './inventory.js';
import type { PropertyReader } from './properties.js';
import type { VimSession } from './session.js';
import type { TaskWaiter } from './tasks.js';
import type { CreateVmOptions, VmPlacement } from './types.js';
import { soapReference, writeVimXml } from './vim-xml.js';

/** Makes VMs from captured configurations. */
export class VmCreation {
  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
    private readonly tasks: TaskWaiter,
    private readonly inventory: Inventory,
    private readonly log: Logger,
  ) {}

  /** @returns the new VM's MoRef. Where the boot order cannot be set, the VM is there and the call fails. */
  async create(
    captured: XmlElement,
    name: string,
    placement: VmPlacement,
    options: CreateVmOptions,
    signal?: AbortSignal,
  ): Promise<string> {
    const networks = await this.inventory.networks(placement.resourcePoolMoRef, placement.hostMoRef, signal);
    const { onOmitted, ...asked } = options;
    const { apiVersion } = this.session.content;
    const spec = configToSpec(captured, { name, datastoreName: placement.datastoreName, networks, apiVersion, ...asked });
    if (spec.omitted.length > 0) this.log.warn({ vm: name, omitted: spec.omitted }, 'parts of the captured VM cannot be made again');
    for (const what of spec.omitted) onOmitted?.(what);
    const host = placement.hostMoRef === undefined ? {} : { host: soapReference({ type: 'HostSystem', value: placement.hostMoRef }) };
    const pool = soapReference({ type: 'ResourcePool', value: placement.resourcePoolMoRef });
    const folder = { type: 'Folder', value: placement.folderMoRef };
    const call = { doing: `creating VM "${name}"`, subject: `VM "${name}"`, signal };
    const made = await this.tasks.run('CreateVM_Task', folder, { config: { $xml: specXml(spec) }, pool, ...host }, call);
    if (made === undefined) {
      throw new VsphereError(`vCenter ${this.session.transport.name} created VM "${name}" and does not tell which it is.`, {
        code: 'INCOMPLETE_ANSWER',
        subject: `VM "${name}"`,
      });
    }
    await this.setBootOrder(captured, made.value, name, signal);
    return made.value;
  }

  /** In a second step, because boot order names devices by keys that vCenter gives when it makes them. */
  private async setBootOrder(captured: XmlElement, moRef: string, name: string, signal?: AbortSignal): Promise<void> {
    if (captured.find('bootOptions', 'bootOrder') === undefined) return;
    const vm = { type: 'VirtualMachine', value: moRef };
    const call = { doing: `setting the boot order of VM "${name}"`, subject: `VM "${name}"`, signal };
    const config = (await this.properties.read(vm, ['config'], call.doing, call.subject, signal)).get('config');
    const order = config === undefined ? [] : bootOrderFor(captured, config);
    if (order.length === 0) return;
    const bootOptions = { $xml: order.map(writeVimXml).join('') };
    await this.tasks.run('ReconfigVM_Task', vm, { spec: { bootOptions } }, call);
  }
}
