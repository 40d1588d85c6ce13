import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags, type OpenAPIObject } from '@nestjs/swagger';
import { Public } from '../access/index.js';
import { OpenApiDocument } from './openapi.js';

@ApiTags('service')
@Public()
@Controller('api')
export class OpenApiController {
  constructor(private readonly document: OpenApiDocument) {}

  @Get('openapi.json')
  @ApiOperation({ operationId: 'openapi', summary: 'Describes this API (OpenAPI 3.1)' })
  @ApiOkResponse({ description: 'The description', schema: { type: 'object' } })
  read(): OpenAPIObject {
    return this.document.read();
  }
}
