import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { InventoryCounts } from '../catalog/index.js';
import type { ServerTrust } from '../common/index.js';
import { CloudService } from './cloud.service.js';
import { cloudListSchema, type CloudRegistrationDto, cloudRegistrationSchema, cloudSchema, inventoryCountsSchema } from './clouds.dto.js';
import type { CloudView } from './types.js';

const ID = { name: 'id', description: 'Id of the cloud', schema: { type: 'string' } } as const;

@ApiTags('clouds')
@Controller('api/v1/clouds')
export class CloudsController {
  constructor(private readonly clouds: CloudService) {}

  @Post()
  @ApiOperation({ operationId: 'registerCloud', summary: 'Registers a VCD with its vCenters, checks every login and takes an inventory' })
  @ApiCreatedResponse({ description: 'The cloud', standardSchema: cloudSchema })
  async register(@Body({ schema: cloudRegistrationSchema }) body: CloudRegistrationDto): Promise<CloudView> {
    return await this.clouds.register({ name: body.name, vcd: withTrust(body.vcd), vcenters: body.vcenters.map(withTrust) });
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
  @ApiOperation({ operationId: 'refreshCloud', summary: 'Takes the inventory of a cloud anew' })
  @ApiParam(ID)
  @ApiOkResponse({ description: 'What was found', standardSchema: inventoryCountsSchema })
  async refresh(@Param('id') id: string): Promise<InventoryCounts> {
    return await this.clouds.refresh(id);
  }
}

function withTrust<T extends { thumbprint?: string | undefined; caPem?: string | undefined }>(
  server: T,
): Omit<T, 'thumbprint' | 'caPem'> & { trust: ServerTrust } {
  const { thumbprint, caPem, ...rest } = server;
  return { ...rest, trust: { ...(thumbprint === undefined ? {} : { thumbprint }), ...(caPem === undefined ? {} : { caPem }) } };
}
