// A Node before 10.16, which has no Brotli, on an agent of Azure DevOps Server 2020.
'use strict';

Object.defineProperty(require('zlib'), 'brotliDecompressSync', { value: undefined });
process.env.AGENT_VERSION = '2.181.2';
