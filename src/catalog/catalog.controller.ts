import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import {
  type CloudQuery,
  cloudQuerySchema,
  organizationListSchema,
  vappDetailSchema,
  vappPageSchema,
  type VappQueryDto,
  vappQuerySchema,
  vdcListSchema,
} from './catalog.dto.js';
import { CatalogService } from './catalog.service.js';
import type { Page } from './cursor.js';
import { CatalogError } from './errors.js';
import type { OrganizationView, VappDetail, VappView, VdcView } from './types.js';

@ApiTags('inventory')
@Controller('api/v1')
export class CatalogController {
  constructor(private readonly catalog: CatalogService) {}

  @Get('organizations')
  @ApiOperation({ operationId: 'listOrganizations', summary: 'Lists the organizations the last inventories saw' })
  @ApiOkResponse({ description: 'By name', standardSchema: organizationListSchema })
  async organizations(@Query({ schema: cloudQuerySchema }) query: CloudQuery): Promise<{ items: OrganizationView[] }> {
    return { items: await this.catalog.organizations(query.cloudId) };
  }

  @Get('vdcs')
  @ApiOperation({ operationId: 'listVdcs', summary: 'Lists the VDCs the last inventories saw' })
  @ApiOkResponse({ description: 'By name', standardSchema: vdcListSchema })
  async vdcs(@Query({ schema: cloudQuerySchema }) query: CloudQuery): Promise<{ items: VdcView[] }> {
    return { items: await this.catalog.vdcs(query.cloudId) };
  }

  @Get('vapps')
  @ApiOperation({ operationId: 'listVapps', summary: 'Lists vApps, those gone from their cloud included' })
  @ApiOkResponse({ description: 'One page, by name', standardSchema: vappPageSchema })
  async vapps(@Query({ schema: vappQuerySchema }) query: VappQueryDto): Promise<Page<VappView>> {
    return await this.catalog.listVapps(query);
  }

  @Get('vapps/:id')
  @ApiOperation({ operationId: 'getVapp', summary: 'Shows one vApp with its VMs' })
  @ApiParam({ name: 'id', description: 'Our id of the vApp', schema: { type: 'string' } })
  @ApiOkResponse({ description: 'The vApp', standardSchema: vappDetailSchema })
  async vapp(@Param('id') id: string): Promise<VappDetail> {
    const vapp = await this.catalog.vappDetail(id);
    if (vapp === undefined) throw new CatalogError('VAPP_NOT_FOUND', `There is no vApp with id ${id} in the catalog.`, `vApp ${id}`);
    return vapp;
  }
}
