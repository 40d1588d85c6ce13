import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { ServerTrust } from '../common/index.js';
import { CloudService } from './cloud.service.js';
import type { CloudChange } from './cloud-change.js';
import type { VcdAccount, VcenterLogin } from './cloud-sessions.js';
import {
  type CloudChangeDto,
  cloudChangeSchema,
  cloudListSchema,
  type CloudRegistrationDto,
  cloudRegistrationSchema,
  cloudSchema,
  inventoryCountsSchema,
  type RefreshDto,
  refreshSchema,
} from './clouds.dto.js';
import type { CloudView, RefreshReport } from './types.js';

const ID = { name: 'id', description: 'Id of the cloud', schema: { type: 'string' } } as const;

@ApiTags('clouds')
@Controller('api/v1/clouds')
export class CloudsController {
  constructor(private readonly clouds: CloudService) {}

  @Post()
  @ApiOperation({ operationId: 'registerCloud', summary: 'Registers a VCD with its vCenters, checks every login and takes an inventory' })
  @ApiCreatedResponse({ description: 'The cloud', standardSchema: cloudSchema })
  async register(@Body({ schema: cloudRegistrationSchema }) body: CloudRegistrationDto): Promise<CloudView> {
    const { url, organization, apiVersion } = body.vcd;
    const account = accountOf(body.vcd) as VcdAccount;
    const vcd = { url, organization, account, ...(apiVersion === undefined ? {} : { apiVersion }), trust: trustOf(body.vcd) ?? {} };
    return await this.clouds.register({ name: body.name, vcd, vcenters: body.vcenters.map(vcenterOf) });
  }

  @Get()
  @ApiOperation({ operationId: 'listClouds', summary: 'Lists the registered clouds' })
  @ApiOkResponse({ description: 'By name, without passwords', standardSchema: cloudListSchema })
  async list(): Promise<{ items: CloudView[] }> {
    return { items: await this.clouds.list() };
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getCloud', summary: 'Shows one cloud' })
  @ApiParam(ID)
  @ApiOkResponse({ description: 'The cloud, without passwords', standardSchema: cloudSchema })
  async view(@Param('id') id: string): Promise<CloudView> {
    return await this.clouds.get(id);
  }

  @Patch(':id')
  @ApiOperation({
    operationId: 'changeCloud',
    summary: 'Gives a cloud other logins, addresses, certificates or vCenters, after trying them',
  })
  @ApiParam(ID)
  @ApiOkResponse({ description: 'The cloud, without passwords', standardSchema: cloudSchema })
  async change(@Param('id') id: string, @Body({ schema: cloudChangeSchema }) body: CloudChangeDto): Promise<CloudView> {
    return await this.clouds.change(id, changeOf(body));
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'removeCloud', summary: 'Forgets a cloud and its passwords; restore points stay' })
  @ApiParam(ID)
  @ApiNoContentResponse({ description: 'It is not registered any more' })
  async remove(@Param('id') id: string): Promise<void> {
    await this.clouds.remove(id);
  }

  @Post(':id/refresh')
  @HttpCode(200)
  @ApiOperation({ operationId: 'refreshCloud', summary: 'Brings the inventory of a cloud up to date' })
  @ApiParam(ID)
  @ApiOkResponse({ description: 'What was found', standardSchema: inventoryCountsSchema })
  async refresh(@Param('id') id: string, @Body({ schema: refreshSchema }) body: RefreshDto): Promise<RefreshReport> {
    return await this.clouds.refresh(id, body ?? {});
  }
}

interface TrustFields {
  thumbprint?: string | undefined;
  caPem?: string | undefined;
}

function trustOf({ thumbprint, caPem }: TrustFields): ServerTrust | undefined {
  if (thumbprint !== undefined) return { thumbprint };
  return caPem === undefined ? undefined : { caPem };
}

/** The schema has seen to it that there is one way at most. */
function accountOf(vcd: NonNullable<CloudChangeDto['vcd']>): VcdAccount | undefined {
  const { userName, password, apiToken, serviceAccountToken } = vcd;
  if (serviceAccountToken !== undefined) return { login: 'service-account', serviceAccountToken };
  if (apiToken !== undefined) return { login: 'api-token', apiToken };
  return userName === undefined || password === undefined ? undefined : { login: 'password', userName, password };
}

function vcenterOf(vcenter: CloudRegistrationDto['vcenters'][number]): Omit<VcenterLogin, 'instanceUuid'> {
  const { url, userName, password } = vcenter;
  return { url, userName, password, trust: trustOf(vcenter) ?? {} };
}

function changeOf(body: CloudChangeDto): CloudChange {
  const change: CloudChange = {};
  if (body.vcd !== undefined) {
    const { url, organization, apiVersion } = body.vcd;
    const account = accountOf(body.vcd);
    const endpoint = given({ url, organization, apiVersion, trust: trustOf(body.vcd) });
    change.vcd = { endpoint, ...(account === undefined ? {} : { account }) };
  }
  if (body.vcenters !== undefined) {
    change.vcenters = body.vcenters.map((vcenter) => {
      const { instanceUuid, url, userName, password } = vcenter;
      return { instanceUuid, ...given({ url, userName, password, trust: trustOf(vcenter) }) };
    });
  }
  if (body.addVcenters !== undefined) change.addVcenters = body.addVcenters.map(vcenterOf);
  if (body.removeVcenters !== undefined) change.removeVcenters = body.removeVcenters;
  return change;
}

/** Without the fields that were not given: they stay as they are. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
