// Restore one image with a bioimage.io model and save the result.
//
// In Fiji: Plugins > Macros > Run... asks for the three paths.
// Without a window, both launchers, from Fiji's folder (the argument is: image|model|result):
//   ./ImageJ-linux64 --headless -macro macros/zooferry/one_image.ijm "/data/cell.tif|my model|/data/restored.tif"
//   ./fiji --headless -macro macros/zooferry/one_image.ijm "/data/cell.tif|my model|/data/restored.tif"
// Fiji's exit code is 0 even after an error. For one that can be trusted (0 only if the result was saved):
//   ./fiji --headless --run macros/zooferry/run_macro.py 'macro="macros/zooferry/one_image.ijm",argument="..."'
//
// The model is the name of an installed one (in Fiji's folder "models"), a folder, or a zip.

argument = getArgument();
if (argument != "") {
    words = split(argument, "|");
    if (words.length != 3) exit("the argument is " + argument + ": write image|model|result");
    image = words[0];
    model = words[1];
    result = words[2];
} else {
    image = File.openDialog("Image to restore");
    model = getString("Model: name of an installed one, folder or zip", "");
    result = getDirectory("Folder for the result") + File.getNameWithoutExtension(image) + "_restored.tif";
}

setBatchMode(true);
restore(image, model);
saveAs("Tiff", result);
print("saved " + result);
close("*");

// Opens an image, restores it, and makes the result the active image.
function restore(path, model) {
    open(path);
    wanted = File.getNameWithoutExtension(getTitle()) + "_restored";
    // More settings of the command, to be added as needed: tile=512 threads=4 channels=each planes=current rescale=yes
    run("Run Zooferry Model", "model=[" + model + "]");
    // Never go on with the input instead of the result. (A model of several outputs gives <name>_<output> for each.)
    if (!isOpen(wanted)) exit("there is no restored image of " + path + ": the reason is in the Log");
    selectImage(wanted);
}
