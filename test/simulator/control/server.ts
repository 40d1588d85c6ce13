import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SimVm } from '../model/vsphere-types.js';
import type { FaultRule, FaultRules } from '../vsphere/fault-rules.js';
import {
  chooseVariants,
  createApiToken,
  type OrderedFault,
  type OrderedFaults,
  revokeApiToken,
  type User,
  type Vapp,
  type VcdCloud,
  type VcdServer,
} from '../vcd/index.js';
import { vappAttributes } from './attributes.js';
import { Checkpoints, type CompareOptions } from './checkpoints.js';
import type { RequestLog } from './request-log.js';

export interface ControlServerOptions {
  cloud: VcdCloud;
  cell: VcdServer;
  faults: OrderedFaults;
  vcenterFaults: FaultRules;
  requests: RequestLog;
  /** Where checkpoints are kept. */
  directory: string;
  host: string;
  port: number;
  expireVcenterSessions: () => void;
  /** Rules of VDDK that clients broke, as their libraries tell. */
  vddkViolations: () => readonly string[];
}

type Body = Record<string, unknown>;
type Handler = (parameters: readonly string[], body: Body, query: URLSearchParams) => unknown;

/** The tests' own door into the simulated cloud: plain HTTP and JSON on the loopback. Nothing of the product knows it. */
export class ControlServer {
  private readonly checkpoints: Checkpoints;
  private readonly routes: readonly (readonly [string, RegExp, Handler])[];

  private constructor(
    private readonly options: ControlServerOptions,
    private readonly server: Server,
  ) {
    this.checkpoints = new Checkpoints(options.cloud, options.directory);
    this.routes = this.makeRoutes();
  }

  static async listen(options: ControlServerOptions): Promise<ControlServer> {
    const server = createServer();
    const control = new ControlServer(options, server);
    server.on('request', (request, response) => {
      control
        .answer(request)
        .catch((error: unknown): [number, unknown] => [error instanceof RangeError ? 400 : 500, { error: (error as Error).message }])
        .then(([status, body]) => {
          response.writeHead(status, { 'Content-Type': 'application/json' });
          response.end(JSON.stringify(body ?? {}));
        })
        .catch(() => response.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, resolve);
    });
    return control;
  }

  get url(): string {
    const { address, port } = this.server.address() as AddressInfo;
    return `http://${address}:${port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage): Promise<[number, unknown]> {
    const url = new URL(request.url ?? '/', 'http://control');
    let text = '';
    for await (const part of request as AsyncIterable<Buffer>) text += part.toString('utf8');
    for (const [method, pattern, handle] of this.routes) {
      const match = method === request.method ? pattern.exec(url.pathname) : null;
      if (!match) continue;
      let body: Body;
      try {
        body = text === '' ? {} : (JSON.parse(text) as Body);
      } catch {
        throw new RangeError('The body is not JSON');
      }
      return [200, await handle(match.slice(1).map(decodeURIComponent), body, url.searchParams)];
    }
    return [404, { error: `${request.method} ${url.pathname} is not a resource of the control port` }];
  }

  private makeRoutes(): readonly (readonly [string, RegExp, Handler])[] {
    const { cell, faults, vcenterFaults, requests } = this.options;
    return [
      ['GET', /^\/state$/, () => this.state()],
      ['GET', /^\/vapps\/([^/]+)\/attributes$/, ([name]) => vappAttributes(this.options.cloud, this.vapp(name))],
      ['POST', /^\/vapps\/([^/]+)\/busy$/, ([name], body) => this.makeBusy(this.vapp(name), numberOf(body, 'ms', 1000))],
      ['POST', /^\/guests\/([^/]+)\/write$/, ([vm], body) => this.write(vm ?? '', body)],
      ['GET', /^\/guests\/([^/]+)\/hash$/, ([vm], _, query) => this.hash(vm ?? '', Number(query.get('disk') ?? '0'))],
      ['POST', /^\/checkpoints$/, (_, body) => this.checkpoints.make(textOf(body, 'name'), this.vapp(textOf(body, 'vapp')))],
      [
        'POST',
        /^\/checkpoints\/([^/]+)\/compare$/,
        ([name], body) => this.checkpoints.compare(name ?? '', this.vapp(textOf(body, 'vapp')), body as CompareOptions),
      ],
      ['POST', /^\/faults$/, (_, body) => this.addFault(body)],
      ['GET', /^\/faults$/, () => [...faults.list(), ...vcenterFaults.list()]],
      [
        'DELETE',
        /^\/faults$/,
        () => {
          faults.clear();
          vcenterFaults.clear();
        },
      ],
      [
        'GET',
        /^\/requests$/,
        (_, __, query) => ({ vcd: requests.list(Number(query.get('since') ?? '0')), vcenter: vcenterFaults.requests }),
      ],
      [
        'POST',
        /^\/sessions\/expire$/,
        (_, body) => {
          if (body.user !== undefined) return { vcdSessions: cell.sessions.endAllOf(this.user(body).id) };
          this.options.expireVcenterSessions();
          return { vcdSessions: cell.sessions.endAll() };
        },
      ],
      ['GET', /^\/variants$/, () => this.options.cloud.variants],
      ['POST', /^\/variants$/, (_, body) => chooseVariants(this.options.cloud.variants, body)],
      ['POST', /^\/api-tokens$/, (_, body) => this.createToken(body)],
      ['DELETE', /^\/api-tokens\/([^/]+)$/, ([name]) => this.revokeToken(name ?? '')],
      ['POST', /^\/events\/retention$/, (_, body) => this.options.cloud.events.keepFor(numberOf(body, 'ms', Number.MAX_SAFE_INTEGER))],
    ];
  }

  /** {door: 'vcd', …OrderedFault} or a FaultRule of the vCenter and vix doors. */
  private addFault(body: Body): unknown {
    if (body.door === 'vcenter' || body.door === 'vix') {
      textOf(body, 'method');
      textOf(body, 'effect');
      this.options.vcenterFaults.add(body as unknown as FaultRule);
      return body;
    }
    const { door: _, ...order } = body;
    return this.options.faults.add(order as Partial<OrderedFault>);
  }

  /** {user, organization, name?, kind?}: answers the token itself, which VCD too shows only once. */
  private createToken(body: Body): unknown {
    const kind = body.kind ?? 'user';
    if (kind !== 'user' && kind !== 'service-account') throw new RangeError('kind is user or service-account');
    const [user, organization] = [textOf(body, 'user'), textOf(body, 'organization')];
    const { id, name, token } = createApiToken(this.options.cloud, { name: String(body.name ?? 'token'), kind, user, organization });
    return { id, name, token };
  }

  private revokeToken(name: string): unknown {
    if (!revokeApiToken(this.options.cloud, name)) throw new RangeError(`There is no API token "${name}"`);
    return {};
  }

  private user(body: Body): User {
    const { state } = this.options.cloud;
    const organization = state.organizations.find((candidate) => candidate.name === (body.organization ?? 'System'));
    const user = state.users.find((candidate) => candidate.organizationId === organization?.id && candidate.name === body.user);
    if (!user) throw new RangeError(`There is no user "${String(body.user)}" in that organization`);
    return user;
  }

  private state(): unknown {
    const { cloud } = this.options;
    return {
      organizations: cloud.state.organizations.map(({ id, name }) => ({ id, name })),
      vdcs: cloud.state.vdcs.map(({ id, name, organizationId }) => ({ id, name, organizationId })),
      users: cloud.state.users.map(({ id, name, organizationId, role }) => ({ id, name, organizationId, role })),
      vapps: cloud.state.vapps.map((vapp) => ({
        id: vapp.id,
        name: vapp.name,
        organizationId: vapp.organizationId,
        vdcId: vapp.vdcId,
        status: cloud.statusWord(cloud.vappStatus(vapp)),
        inMaintenanceMode: vapp.inMaintenanceMode,
        vms: cloud.vmsOf(vapp).map((vm) => ({ id: vm.id, name: vm.name, moRef: vm.moRef, localId: vm.localId })),
      })),
      vappTemplates: cloud.state.vappTemplates.map(({ id, name }) => ({
        id,
        name,
        vms: cloud.templateVmsOf(id).map((vm) => ({ id: vm.id, name: vm.name, moRef: vm.moRef })),
      })),
      media: cloud.state.media.map(({ id, name, sizeBytes, downloadTransferId }) => ({
        id,
        name,
        sizeBytes,
        downloadEnabled: downloadTransferId !== undefined,
      })),
      namedDisks: cloud.state.disks.map(({ id, name, attachedVmId }) => ({ id, name, attachedVmId: attachedVmId ?? null })),
      vcenterVms: cloud.vsphere.vms().map((vm) => ({
        moRef: vm.moRef,
        name: vm.name,
        powerState: vm.powerState,
        changeTrackingEnabled: vm.changeTrackingEnabled,
        vmPath: vm.vmPath,
        disks: vm.disks.map(({ key, label, path, capacityBytes }) => ({ key, label, path, capacityBytes })),
        snapshots: vm.snapshots.map(({ moRef, name }) => ({ moRef, name })),
      })),
      preparedForAccess: cloud.vsphere.preparedForAccess(),
      vddkViolations: this.options.vddkViolations(),
      datastores: cloud.vsphere.datastores().map(({ name, directory }) => ({ name, directory })),
      runningTasks: cloud.tasks.all().filter((task) => task.status === 'queued' || task.status === 'running').length,
    };
  }

  private makeBusy(vapp: Vapp, delayMs: number): unknown {
    const { cloud } = this.options;
    const task = cloud.tasks.start({
      operationName: 'vappUpdateVm',
      operation: `Updating Virtual Application ${vapp.name}(${vapp.id})`,
      owner: cloud.nameOf(vapp),
      blocks: [vapp.id],
      userId: cloud.state.users[0]?.id ?? '',
      organizationId: vapp.organizationId,
      delayMs,
      work: () => undefined,
    });
    return { taskId: task.id };
  }

  /** {disk, seed, scatteredBlocks?, largeFileBytes?, unmapFile?}: each part that is named happens, in this order. */
  private async write(vmName: string, body: Body): Promise<unknown> {
    const { guest } = this.options.cloud.vsphere;
    const vm = this.hardware(vmName);
    const key = diskKey(vm, numberOf(body, 'disk', 0));
    const seed = typeof body.seed === 'string' ? body.seed : 'write';
    const written: Record<string, unknown> = {};
    const scattered = numberOf(body, 'scatteredBlocks', 0);
    if (scattered > 0) written.scattered = await guest.scatteredWrites(vm.moRef, key, { seed, count: scattered });
    const largeFileBytes = numberOf(body, 'largeFileBytes', 0);
    if (largeFileBytes > 0) written.largeFile = await guest.writeLargeFile(vm.moRef, key, { seed, lengthBytes: largeFileBytes });
    if (body.unmapFile === true) written.unmapped = await guest.unmapFile(vm.moRef, key);
    return written;
  }

  private async hash(vmName: string, disk: number): Promise<unknown> {
    const vm = this.hardware(vmName);
    return { sha256: await this.options.cloud.vsphere.guest.contentHash(vm.moRef, diskKey(vm, disk)) };
  }

  private vapp(name: string | undefined): Vapp {
    const vapp = this.options.cloud.state.vapps.find((candidate) => candidate.name === name || candidate.id === name);
    if (!vapp) throw new RangeError(`There is no vApp "${name ?? ''}"`);
    return vapp;
  }

  /** By "vapp/vm", VM name in VCD, or moRef. */
  private hardware(name: string): SimVm {
    const { cloud } = this.options;
    const found = cloud.state.vms.find((vm) => vm.name === name || `${cloud.vappOf(vm).name}/${vm.name}` === name);
    const vm = cloud.vsphere.vm(found?.moRef ?? name);
    if (!vm) throw new RangeError(`There is no VM "${name}"`);
    return vm;
  }
}

function diskKey(vm: SimVm, index: number): number {
  const disk = vm.disks[index];
  if (!disk) throw new RangeError(`VM "${vm.name}" has no disk number ${index}`);
  return disk.key;
}

function numberOf(body: Body, field: string, fallback: number): number {
  const value = body[field] ?? fallback;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new RangeError(`${field} must be a whole number`);
  return value;
}

function textOf(body: Body, field: string): string {
  const value = body[field];
  if (typeof value !== 'string' || value === '') throw new RangeError(`${field} is missing`);
  return value;
}
