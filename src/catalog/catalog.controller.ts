import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import {
  type CloudQuery,
  cloudQuerySchema,
  firstClassDiskPageSchema,
  type FirstClassDiskQueryDto,
  firstClassDiskQuerySchema,
  namedDiskPageSchema,
  type NamedDiskQueryDto,
  namedDiskQuerySchema,
  organizationListSchema,
  resourcePageSchema,
  type ResourceQueryDto,
  resourceQuerySchema,
  vappDetailSchema,
  vappPageSchema,
  type VappQueryDto,
  vappQuerySchema,
  vdcListSchema,
} from './catalog.dto.js';
import { CatalogService } from './catalog.service.js';
import type { Page } from './cursor.js';
import { CatalogError } from './errors.js';
import type { CloudResourceView, FirstClassDiskView, NamedDiskView, OrganizationView, VappDetail, VappView, VdcView } from './types.js';

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
  @ApiOperation({
    operationId: 'listVapps',
    summary: 'Lists vApps, or standalone VMs, templates or media, those gone from their cloud included',
  })
  @ApiOkResponse({ description: 'One page, by name', standardSchema: vappPageSchema })
  async vapps(@Query({ schema: vappQuerySchema }) { kind, ...query }: VappQueryDto): Promise<Page<VappView>> {
    return await this.catalog.listVapps({ ...query, ...(kind === undefined ? {} : { kinds: [kind] }) });
  }

  @Get('named-disks')
  @ApiOperation({ operationId: 'listNamedDisks', summary: 'Lists the named (independent) disks the last inventories saw' })
  @ApiOkResponse({ description: 'One page, by name', standardSchema: namedDiskPageSchema })
  async namedDisks(@Query({ schema: namedDiskQuerySchema }) query: NamedDiskQueryDto): Promise<Page<NamedDiskView>> {
    return await this.catalog.listNamedDisks(query);
  }

  @Get('first-class-disks')
  @ApiOperation({
    operationId: 'listFirstClassDisks',
    summary: 'Lists the first class disks of vCenters and datastores, with the named disks they are and the VMs that have them',
  })
  @ApiOkResponse({ description: 'One page, by name', standardSchema: firstClassDiskPageSchema })
  async firstClassDisks(@Query({ schema: firstClassDiskQuerySchema }) query: FirstClassDiskQueryDto): Promise<Page<FirstClassDiskView>> {
    return await this.catalog.listFirstClassDisks(query);
  }

  @Get('resources')
  @ApiOperation({
    operationId: 'listResources',
    summary: 'Lists provider VDCs, vCenters, datastores, storage profiles, compute policies, networks and VCD catalogs',
  })
  @ApiOkResponse({ description: 'One page, by name', standardSchema: resourcePageSchema })
  async resources(@Query({ schema: resourceQuerySchema }) query: ResourceQueryDto): Promise<Page<CloudResourceView>> {
    return await this.catalog.listResources(query);
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
