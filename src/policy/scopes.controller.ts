import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { type PreviewRequest, previewRequestSchema, previewSchema } from './scope.dto.js';
import { type ScopeResolution, ScopeService } from './scope.service.js';
import type { Scope } from './scope-types.js';

@ApiTags('scopes')
@Controller('api/v1/scopes')
export class ScopesController {
  constructor(private readonly scopes: ScopeService) {}

  @Post('preview')
  @HttpCode(200)
  @ApiOperation({ operationId: 'previewScope', summary: 'Shows which objects a scope means today, and why; changes nothing' })
  @ApiOkResponse({ description: 'What is meant and what is excluded, by name', standardSchema: previewSchema })
  async preview(
    @Body({ schema: previewRequestSchema }) { scope, limit }: PreviewRequest,
  ): Promise<ScopeResolution & { matchedCount: number; excludedCount: number }> {
    const { items, excluded, warnings } = await this.scopes.resolve(scope as Scope);
    return {
      matchedCount: items.length,
      excludedCount: excluded.length,
      items: items.slice(0, limit),
      excluded: excluded.slice(0, limit),
      warnings,
    };
  }
}
