import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { NeedsRole } from './access.guard.js';
import { ApiKeyService, type ApiKeyView } from './api-key.service.js';
import { ROLES } from './principal.js';

const time = z.iso.datetime();
const apiKeySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string().meta({ description: 'The first characters of the key' }),
    role: z.enum(ROLES),
    createdAt: time,
    lastUsedAt: time.nullable().meta({ description: 'To the minute' }),
    revokedAt: time.nullable(),
  })
  .meta({ id: 'ApiKey' });
const apiKeyListSchema = z.object({ items: z.array(apiKeySchema) }).meta({ id: 'ApiKeyList' });
const newApiKeySchema = apiKeySchema
  .extend({ key: z.string().meta({ description: 'The key itself; it is shown here and never again' }) })
  .meta({ id: 'NewApiKey' });
const apiKeyRequestSchema = z
  .strictObject({ name: z.string().trim().min(1).max(100), role: z.enum(ROLES).default('provider-admin') })
  .meta({ id: 'ApiKeyRequest' });

@ApiTags('api keys')
@NeedsRole('provider-admin')
@Controller('api/v1/api-keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeyService) {}

  @Get()
  @ApiOperation({ operationId: 'listApiKeys', summary: 'Lists API keys, revoked ones included' })
  @ApiOkResponse({ description: 'All keys, newest first, without their secrets', standardSchema: apiKeyListSchema })
  async list(): Promise<{ items: ApiKeyView[] }> {
    return { items: await this.keys.list() };
  }

  @Post()
  @ApiOperation({ operationId: 'createApiKey', summary: 'Makes an API key and shows it once' })
  @ApiCreatedResponse({ description: 'The new key', standardSchema: newApiKeySchema })
  async create(@Body({ schema: apiKeyRequestSchema }) body: z.output<typeof apiKeyRequestSchema>): Promise<ApiKeyView & { key: string }> {
    const { key, view } = await this.keys.create(body.name, body.role);
    return { ...view, key };
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'revokeApiKey', summary: 'Revokes an API key at once' })
  @ApiParam({ name: 'id', description: 'Id of the key', schema: { type: 'string' } })
  @ApiNoContentResponse({ description: 'The key opens nothing any more' })
  async revoke(@Param('id') id: string): Promise<void> {
    await this.keys.revoke(id);
  }
}
