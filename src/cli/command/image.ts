/** `copse image …`: commands about images. */
import type { Command } from 'commander';
import { addImageAddCommand } from './image-add.js';
import { addImageLsCommand } from './image-ls.js';
import { addImageRenameCommand } from './image-rename.js';
import { addImageRepinCommand } from './image-repin.js';
import { addImageRmCommand } from './image-rm.js';
import { addImageSealCommand } from './image-seal.js';
import { addImageStatusCommand } from './image-status.js';
import { addImageVerifyCommand } from './image-verify.js';
import { addImageWarmCommand } from './image-warm.js';

export function addImageCommands(parent: Command): void {
  const image = parent.command('image').description('add, show, warm, verify, seal and remove images');
  addImageAddCommand(image);
  addImageLsCommand(image);
  addImageStatusCommand(image);
  addImageWarmCommand(image);
  addImageVerifyCommand(image);
  addImageSealCommand(image);
  addImageRepinCommand(image);
  addImageRenameCommand(image);
  addImageRmCommand(image);
}
