// Restore an image, find its bright objects, and measure them in physical units.
//
// Saved in the output folder: <name>_restored.tif with the outlines as overlay, and <name>_objects.csv with one row per
// object: area and perimeter in the unit of the image's pixel size, position, and intensities of the restored image.
//
// In Fiji: Plugins > Macros > Run... asks for the paths.
// Without a window, both launchers, from Fiji's folder (the argument is: image|model|output folder):
//   ./ImageJ-linux64 --headless -macro macros/zooferry/restore_segment_measure.ijm "/data/cell.tif|my model|/data/out"
//   ./fiji --headless -macro macros/zooferry/restore_segment_measure.ijm "/data/cell.tif|my model|/data/out"
// With an exit code that can be trusted:
//   ./fiji --headless --run macros/zooferry/run_macro.py 'macro="...",argument="..."'

smallest = 0.5;      // objects of less area are left out, in the square of the image's unit
threshold = "Otsu";  // any method of Image > Adjust > Threshold

argument = getArgument();
if (argument != "") {
    words = split(argument, "|");
    if (words.length != 3) exit("the argument is " + argument + ": write image|model|output folder");
    image = words[0];
    model = words[1];
    folder = words[2] + File.separator;
} else {
    image = File.openDialog("Image to restore and measure");
    model = getString("Model: name of an installed one, folder or zip", "");
    folder = getDirectory("Folder for the results");
}

setBatchMode(true);
open(image);
name = File.getNameWithoutExtension(getTitle());
if (nSlices > 1) exit(image + " has " + nSlices + " planes: this macro measures single planes");
getPixelSize(unit, width, height);
if (unit == "pixel" || unit == "pixels") print("the pixel size of " + image + " is unknown: areas are in pixels");

// 1. restore
restored = name + "_restored";
run("Run Zooferry Model", "model=[" + model + "]");
if (!isOpen(restored)) exit("there is no restored image of " + image + ": the reason is in the Log");

// 2. segment: a mask of the bright objects, those that touch each other cut apart
selectImage(restored);
run("Duplicate...", "title=mask");
setAutoThreshold(threshold + " dark");
setOption("BlackBackground", true);
run("Convert to Mask");
run("Fill Holes");
run("Watershed");

// 3. measure each object in the restored image. (Not by Analyze Particles: without a window it fails in Fiji 2.16.)
run("Find Maxima...", "prominence=10 exclude output=[Point Selection]");  // one point in each, none in those cut off
objects = 0;
run("Clear Results");
if (selectionType() == 10) {
    getSelectionCoordinates(xs, ys);
    for (i = 0; i < xs.length; i++) {
        selectImage("mask");
        doWand(xs[i], ys[i]);
        getSelectionCoordinates(outline_x, outline_y);
        selectImage(restored);
        makeSelection("traced", outline_x, outline_y);
        List.setMeasurements;
        if (List.getValue("Area") < smallest) continue;
        Overlay.addSelection("yellow");
        setResult("Area", objects, List.getValue("Area"));
        setResult("Perimeter", objects, List.getValue("Perim."));
        setResult("Circularity", objects, List.getValue("Circ."));
        setResult("X", objects, List.getValue("X"));
        setResult("Y", objects, List.getValue("Y"));
        setResult("Mean", objects, List.getValue("Mean"));
        setResult("StdDev", objects, List.getValue("StdDev"));
        setResult("Unit", objects, unit);
        objects++;
    }
}
updateResults();
saveAs("Results", folder + name + "_objects.csv");

// 4. keep the outlines with the restored image
selectImage(restored);
run("Select None");
saveAs("Tiff", folder + restored + ".tif");
print(objects + " objects of " + image + " in " + folder + name + "_objects.csv");
close("*");
