export async function renewFigures() {}
