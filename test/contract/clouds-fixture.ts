import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AccessModule } from '../../src/access/index.js';
import { CatalogModule } from '../../src/catalog/index.js';
import { CloudsModule } from '../../src/clouds/index.js';
import type { Logger } from '../../src/common/index.js';
import { ConfigModule, loadConfig } from '../../src/config/index.js';
import { DatabaseModule } from '../../src/database/index.js';
import { configureHttp, HttpModule } from '../../src/http/index.js';
import { JobsModule } from '../../src/jobs/index.js';
import { SettledModule } from '../harness/settled-module.js';
import type { ScriptedVcd } from './scripted-vcd.js';

const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5"';
const VIM = '/api/admin/extension/vimServer/00000000-0000-4000-8000-0000000000d1';

/** The clouds room with the rooms below it, on a database of the test's; `api` role: no worker. */
export async function startCloudsApplication(options: {
  databaseUrl: string;
  masterKey: Buffer;
  apiKey: string;
  log: Logger;
}): Promise<NestExpressApplication> {
  const { databaseUrl, masterKey, apiKey, log } = options;
  class Root {}
  const root = {
    module: Root,
    imports: [
      ConfigModule.forRoot({ config: loadConfig({}), log, masterKey }),
      DatabaseModule.forRoot({ url: databaseUrl, poolSize: 6 }),
      AccessModule.forRoot({ initialApiKey: apiKey, showFirstKey: () => undefined }),
      HttpModule.forRootAsync({ useFactory: () => [] }),
      SettledModule,
      JobsModule.forRootAsync({ useFactory: () => ({ worker: false, databaseUrl, logger: log }) }),
      CatalogModule,
      CloudsModule,
    ],
  };
  const started = await NestFactory.create<NestExpressApplication>(root, {
    logger: false,
    abortOnError: false,
    forceCloseConnections: true,
  });
  configureHttp(started, log);
  await started.listen(0, '127.0.0.1');
  return started;
}

/** One call of the API as the holder of a key. */
export async function callApi(
  { base, key }: { base: string; key: string },
  method: string,
  path: string,
  body?: object,
  // biome-ignore lint/suspicious/noExplicitAny: answers of every route; each test says what it expects of them
): Promise<{ status: number; body: any; text: string }> {
  const response = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, body: text === '' ? undefined : JSON.parse(text) };
}

/** One organization, one VDC, one vCenter, and the vApps of those names with one VM each. */
export function answerInventory(vcd: ScriptedVcd, vappNames: () => readonly string[]): void {
  vcd.on('GET /api/query', ({ path }) => ({ body: records(vcd, new URL(path, vcd.url).searchParams.get('type') ?? '', vappNames()) }));
  vcd.on('GET /api/admin/extension/vimServerReferences', {
    body: `<x:VMWVimServerReferences xmlns:x="http://www.vmware.com/vcloud/extension/v1.5"><x:VimServerReference name="vc-1" href="${vcd.href(VIM)}"/></x:VMWVimServerReferences>`,
  });
}

export function answerVimServer(vcd: ScriptedVcd, uuid: string): void {
  vcd.on(`GET ${VIM}`, {
    body: `<x:VimServer xmlns:x="http://www.vmware.com/vcloud/extension/v1.5" name="vc-1"><x:Url>https://vc-1</x:Url><x:Uuid>${uuid}</x:Uuid></x:VimServer>`,
  });
}

function records(vcd: ScriptedVcd, type: string, vappNames: readonly string[]): string {
  const at = (path: string) => `href="${vcd.href(path)}"`;
  const org = `org="${vcd.href('/api/org/00000000-0000-4000-8000-0000000000f1')}"`;
  const vdc = '/api/vdc/00000000-0000-4000-8000-0000000000c1';
  const vapp = (n: number) => `/api/vApp/vapp-00000000-0000-4000-8000-0000000000a${n}`;
  const byType: Record<string, string[]> = {
    organization: [
      `<OrganizationRecord name="acme" displayName="Acme" ${at('/api/org/00000000-0000-4000-8000-0000000000f1')} isEnabled="true"/>`,
    ],
    adminOrgVdc: [`<AdminOrgVdcRecord name="gold" ${at(vdc)} ${org} orgName="acme" isEnabled="true"/>`],
    adminVApp: vappNames.map(
      (name, n) =>
        `<AdminVAppRecord name="${name}" ${at(vapp(n))} vdc="${vcd.href(vdc)}" ${org} numberOfVMs="1" storageKB="4096" status="POWERED_ON"/>`,
    ),
    adminVM: vappNames.map(
      (name, n) =>
        `<AdminVMRecord name="${name}-vm" ${at(`/api/vApp/vm-00000000-0000-4000-8000-0000000000b${n}`)} container="${vcd.href(vapp(n))}" ` +
        `vdc="${vcd.href(vdc)}" ${org} moref="vm-${n}" vc="${vcd.href(VIM)}" isVAppTemplate="false" status="POWERED_ON"/>`,
    ),
  };
  const found = byType[type] ?? [];
  return `<QueryResultRecords ${VCLOUD} total="${found.length}" page="1" pageSize="128">${found.join('')}</QueryResultRecords>`;
}
